"""Predict the labels of texts with a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from ordinal.common.choices import Decoding, Truncation
from ordinal.common.columns import join_texts
from ordinal.common.costs import Costs
from ordinal.common.errors import UserError, quoted
from ordinal.common.types import Labels, Probabilities
from ordinal.data.rows import unreadable
from ordinal.distributions.calibration import Calibration, apply_temperature
from ordinal.distributions.conformal import IntervalRule
from ordinal.distributions.decoding import decode
from ordinal.model.inference import Network, predict_probabilities
from ordinal.prediction.deferral import Compute, Deferral, cascade
from ordinal.tokenization.tokens import Tokens
from ordinal.tokenization.truncation import truncated_ids

Columns = Mapping[str, str | None]
"""The texts of a row that has several, by column."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for one text, with labels by name."""

    label: str | None
    """None if the predictor abstains."""
    low: str
    """Lowest label of the conformal interval."""
    high: str
    """Highest label of the conformal interval."""
    probabilities: dict[str, float]
    """Calibrated probability of each label, lowest label first."""


@dataclass(frozen=True)
class Predictor:
    """A trained model that predicts texts. `load` makes one from a file or folder."""

    network: Network
    tokenizer: Tokenizer
    labels: Sequence[str]
    """Names of the labels, lowest first."""
    rule: Decoding
    """Rule that turns a distribution over the labels into one label."""
    calibration: Calibration
    interval_rule: IntervalRule = field(default_factory=IntervalRule)
    """The choice of the label intervals."""
    abstain_above: int | None = None
    """Texts whose interval has more labels than this get no label; None: every text gets one."""
    deferral: Deferral | None = None
    """The calibration of a cascade with `precise`, if this is a fast form of a model."""
    precise: Compute | None = None
    """The precise form, which computes the texts whose label could be another in it."""
    columns: Sequence[str] = ()
    """The columns whose texts are joined, if the model was trained on several."""
    truncation: Truncation = "head"
    """Tokens that are kept of a text that is too long."""
    costs: Costs | None = None
    """The costs of errors, for the rule `cost`."""

    def intervals(self, probabilities: Probabilities) -> tuple[Labels, Labels]:
        """Return the lowest and the highest class of each interval, both of shape (rows,)."""
        calibrated = self.deferral if self.precise and self.deferral else self.calibration
        return self.interval_rule.intervals(probabilities, calibrated.scores)

    def predict(self, texts: Sequence[str | Columns]) -> list[Prediction]:
        """Return one prediction per text, in the order of the texts.

        Args:
            texts: Texts; or, if the model has several text columns, rows with the text of each,
                which may be None or left out.

        Raises:
            UserError: a text is empty or contains half of a surrogate pair, or a row has a column
                that the model does not have.
        """
        joined = []
        for number, text in enumerate(texts, start=1):
            try:
                joined.append(self.text_of(text))
            except ValueError as error:
                raise UserError(f"text {number} of {len(texts)} {error}") from None
        if not joined:
            return []
        probabilities = self.probabilities(self.tokenized(joined))
        lows, highs = self.intervals(probabilities)
        labels = decode(probabilities, self.rule, self.costs)
        names = self.labels
        most = len(names) if self.abstain_above is None else self.abstain_above
        named = [
            names[label] if width <= most else None
            for label, width in zip(labels, highs - lows + 1, strict=True)
        ]
        return [
            Prediction(label, names[low], names[high], dict(zip(names, row, strict=True)))
            for label, low, high, row in zip(
                named, lows, highs, probabilities.tolist(), strict=True
            )
        ]

    def tokenized(self, texts: Sequence[str]) -> Tokens:
        """Return the tokens of texts, which must be usable; long ones are truncated."""
        encodings = self.tokenizer.encode_batch_fast(texts)
        return Tokens.of([truncated_ids(encoding, self.truncation) for encoding in encodings])

    def text_of(self, row: str | Columns) -> str:
        """Return the text of a row, whose columns are joined.

        Raises:
            ValueError: it is not usable.
        """
        if isinstance(row, str):
            text = row
        elif not self.columns:
            raise ValueError("is a row of columns, but this model has one: give its text")
        elif unknown := [name for name in row if name not in self.columns]:
            has = ", ".join(map(quoted, self.columns))
            raise ValueError(f"has the column {quoted(unknown[0])}; this model has {has}")
        else:
            text = join_texts(row.get(column) for column in self.columns)
        if problem := "is empty" if not text.strip() else unreadable(text):
            raise ValueError(problem)
        return text

    def probabilities(self, tokens: Tokens) -> Probabilities:
        """Return the calibrated distributions of tokenized texts, shape (rows, K), in row order."""
        if self.precise and self.deferral:
            threshold, costs = self.deferral.threshold, self.costs
            return cascade(self._calibrated, self.precise, self.rule, threshold, costs)(tokens)
        return self._calibrated(tokens)

    def _calibrated(self, tokens: Tokens) -> Probabilities:
        probabilities = predict_probabilities(self.network, tokens)
        return apply_temperature(probabilities, self.calibration.temperature)
