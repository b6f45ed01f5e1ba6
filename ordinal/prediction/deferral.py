"""Cascade of two forms of one model: a fast one, and a precise one for texts that are left to it.

The fast form (bf16, int8) leaves a text to the precise form if its label could be another there.
The text's margin decides: how much the fast form's distribution may change until it loses its
label. The threshold of the margins is calibrated on validation rows, computed in both forms.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ordinal.common.choices import Decoding
from ordinal.common.costs import Costs
from ordinal.common.errors import UserError
from ordinal.common.files import read_json
from ordinal.common.types import Floats, Labels, Probabilities
from ordinal.distributions.calibration import Calibration, refuse_other_scores
from ordinal.distributions.conformal import Scores, calibration_scores
from ordinal.distributions.decoding import decode, expected_costs
from ordinal.tokenization.tokens import Tokens

DEFERRAL_FILE = "deferral.json"
AGREEMENT = 0.999
"""Share of texts whose label is to be that of the precise form."""
CONFIDENCE = 0.95
"""Probability, over the choice of validation rows, that the share is at least `AGREEMENT`."""


@dataclass(frozen=True)
class Deferral:
    """The calibration of a cascade, stored with its fast form."""

    threshold: float
    """Texts with this margin or a smaller one are left to the precise form."""
    scores: Scores
    """Scores of both forms together, for `conformal.IntervalRule`."""
    model: str
    """`fingerprint` of the precise form."""

    def __post_init__(self) -> None:
        refuse_other_scores(self.scores)


Compute = Callable[[Tokens], Probabilities]
"""Calibrated distributions of texts by one form."""


def cascade(
    fast: Compute,
    precise: Compute,
    rule: Decoding,
    threshold: float,
    costs: Costs | None = None,
) -> Compute:
    """Return the distributions by the fast form, or by the precise one for uncertain texts."""

    def compute(tokens: Tokens) -> Probabilities:
        probabilities = fast(tokens)
        labels = decode(probabilities, rule, costs)
        margins = label_margins(probabilities, labels, rule, costs)
        deferred = np.flatnonzero(margins <= threshold)
        if len(deferred):
            ids = np.split(tokens.ids, tokens.offsets[1:-1])
            probabilities[deferred] = precise(Tokens.of([ids[row] for row in deferred]))
        return probabilities

    return compute


def calibrate_deferral(
    labels: Labels,
    fast: Probabilities,
    precise: Probabilities,
    rule: Decoding,
    model: str,
    costs: Costs | None = None,
) -> Deferral:
    """Calibrate a cascade on rows held out of training.

    Args:
        labels: true classes, shape (rows,).
        fast: calibrated distributions by the fast form, shape (rows, K).
        precise: those by the precise form.
        rule: the decoding rule.
        model: `fingerprint` of the precise form.
        costs: the costs of errors, for the rule `cost`.
    """
    predicted = decode(fast, rule, costs)
    margins = label_margins(fast, predicted, rule, costs)
    threshold = deferral_threshold(margins, label_margins(precise, predicted, rule, costs))
    together = np.where((margins <= threshold)[:, None], precise, fast)
    return Deferral(threshold, calibration_scores(labels, together), model)


def deferral_threshold(fast: Floats, precise: Floats) -> float:
    """Return a threshold with which at least `AGREEMENT` of all labels agree, with `CONFIDENCE`.

    A label that is not deferred disagrees if its margin is above the threshold in the fast form and
    below 0 in the precise one. With 2,995 rows or more, the threshold is an upper confidence bound
    of a quantile of the margins at which labels disagree. It is the margin of one of the rows, and
    holds for any distribution of margins (Wilks 1941).

    Fewer rows can't show so rare an event. But a label that is not deferred can disagree only if
    its margin changes by more than the threshold. The threshold is then a limit of the changes: the
    tolerance limit of a normal distribution (Hahn and Meeker 1991, section 4.6), or the largest
    change of these rows, up or down, if that is larger.

    Args:
        fast: margins of the labels of the fast form, shape (rows,), in the fast form.
        precise: margins of the same labels in the precise form.
    """
    from scipy.stats import binom, nct, norm  # half a second

    count = len(fast)
    rank = int(binom.ppf(CONFIDENCE, count, AGREEMENT))
    if rank < count:
        return float(np.sort(np.where(precise > 0, 0.0, fast))[rank])
    if count < 2:
        return sys.float_info.max
    changes, root = fast - precise, np.sqrt(count)
    factor = nct.ppf(CONFIDENCE, count - 1, norm.ppf(AGREEMENT) * root) / root
    limit = changes.mean() + factor * changes.std(ddof=1)
    return float(max(limit, np.abs(changes).max()))


def load_deferral(folder: Path) -> Deferral | None:
    """Load the calibration that `export_bf16` writes; None if there is none.

    Raises:
        UserError: it is damaged.
    """
    path = folder / DEFERRAL_FILE
    try:
        return Deferral(**read_json(path)) if path.is_file() else None
    except (TypeError, ValueError):
        raise UserError(f"{path} is damaged: export the model again") from None


def fingerprint(calibration: Calibration) -> str:
    """Return what identifies a model in all its precise forms: the SHA-256 of its scores."""
    return hashlib.sha256(json.dumps(calibration.scores).encode()).hexdigest()


def label_margins(
    probabilities: Probabilities, labels: Labels, rule: Decoding, costs: Costs | None = None
) -> Floats:
    """Return how much each distribution may change until it loses a label, shape (rows,).

    The margin is at least 0 if `decode` returns the label, and at most 0 if it returns another.

    - median: by how much the probability of the label or a lower one, and that of the label or a
      higher one, exceed one half; the smaller of the two.
    - mean: the distance of the expected class from the nearer end of the label's rounding interval.
    - mode: by how much the label's probability exceeds the highest other one.
    - cost: by how much the least expected cost of another label exceeds the label's.
    """
    rows, given = np.arange(len(labels)), probabilities.astype(np.float64)
    if rule == "median":
        cumulative = np.pad(np.cumsum(given, axis=1), ((0, 0), (1, 0)))
        cumulative /= cumulative[:, -1:]
        return np.asarray(
            np.minimum(cumulative[rows, labels + 1] - 0.5, 0.5 - cumulative[rows, labels])
        )
    if rule == "mean":
        return np.asarray(0.5 - np.abs(given @ np.arange(given.shape[1]) - labels))
    gains = -expected_costs(given, costs) if rule == "cost" else given
    own = gains[rows, labels]
    gains[rows, labels] = -np.inf
    return np.asarray(own - gains.max(axis=1))
