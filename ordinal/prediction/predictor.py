"""A trained model in use: texts in, labels with probabilities and intervals out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from ordinal.common.errors import UserError
from ordinal.common.types import Decoding, Probabilities
from ordinal.data.rows import unreadable
from ordinal.distributions.calibration import Calibration, apply_temperature
from ordinal.distributions.conformal import conformal_threshold, intervals
from ordinal.distributions.decoding import decode, undecided
from ordinal.model.inference import Network, predict_probabilities
from ordinal.tokenization.tokens import Tokens

ROUNDING = 0.03  # of the probability, at most: the default's 2,250 texts have 0.025


@dataclass(frozen=True)
class Prediction:
    """What the model says of one text, in the names of the labels it was trained on."""

    label: str
    low: str
    """Lowest label of the interval that holds the true one as often as promised."""
    high: str
    """Highest label of it."""
    probabilities: dict[str, float]
    """Of each label, lowest first; calibrated."""


@dataclass(frozen=True)
class Predictor:
    """A model ready for texts; `load` makes one."""

    network: Network
    tokenizer: Tokenizer
    labels: Sequence[str]
    rule: Decoding
    calibration: Calibration
    coverage: float = 0.9
    """How often the interval of labels shall hold the true one, in texts like the validation's."""
    precise: Network | None = None
    """The same network in full precision, for the texts whose label might hang on it."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction for each text, in their order; no texts, no predictions.

        Raises:
            UserError: a text is empty, or has what is no character.
        """
        for number, text in enumerate(texts, start=1):
            if wrong := "is empty" if not text.strip() else unreadable(text):
                raise UserError(f"text {number} of {len(texts)} {wrong}")
        if not texts:
            return []
        encodings = self.tokenizer.encode_batch_fast(list(texts))
        probabilities = self.probabilities(Tokens.of([encoding.ids for encoding in encodings]))
        bounds = intervals(
            probabilities, conformal_threshold(self.coverage, self.calibration.scores)
        )
        names = self.labels
        return [
            Prediction(names[label], names[low], names[high], dict(zip(names, row, strict=True)))
            for label, low, high, row in zip(
                decode(probabilities, self.rule), *bounds, probabilities.tolist(), strict=True
            )
        ]

    def probabilities(self, tokens: Tokens) -> Probabilities:
        """Calibrated distributions of tokenized texts, shape (rows, K), in row order."""
        probabilities = self._tempered(self.network, tokens)
        if self.precise:
            # Below 1, the temperature makes differences larger.
            rounding = ROUNDING * max(1, 1 / self.calibration.temperature)
            doubtful = undecided(probabilities, self.rule, rounding)
            if doubtful.any():
                ids = np.split(tokens.ids, tokens.offsets[1:-1])
                again = Tokens.of([ids[row] for row in np.flatnonzero(doubtful)])
                probabilities[doubtful] = self._tempered(self.precise, again)
        return probabilities

    def _tempered(self, network: Network, tokens: Tokens) -> Probabilities:
        return apply_temperature(
            predict_probabilities(network, tokens), self.calibration.temperature
        )
