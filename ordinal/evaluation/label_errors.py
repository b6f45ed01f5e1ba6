"""Scores of labels that are probably wrong, and an estimate of how many are.

All functions take distributions that come from models that did not see the row (out of fold).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ordinal.common.types import Floats, Labels, Probabilities
from ordinal.evaluation.metrics import expected_error, ranked_probability_score

SUREST = 0.1  # share of the rows from which the share of wrong labels is estimated


def excess_rps(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return the RPS minus its expectation if labels were drawn from the distributions."""
    return ranked_probability_score(labels, probabilities) - spread(probabilities)


def spread(probabilities: Probabilities) -> Floats:
    """Return the expected RPS of a label drawn from each distribution, Σ_k F_k (1 − F_k) / (K − 1).

    It is 0 for a distribution with one possible label.
    """
    cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)[:, :-1]
    expected: Floats = (cumulative * (1 - cumulative)).mean(axis=1)
    return expected


def beyond(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return 1 minus the probability of the label or a more extreme one, on the rarer side."""
    up_to = np.cumsum(probabilities, axis=1, dtype=np.float64)
    lower = _at(labels, up_to)
    upper = up_to[:, -1] - lower + _at(labels, probabilities)
    scores: Floats = 1 - np.minimum(lower, upper)
    return scores


def self_confidence(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return 1 minus the probability of the label: cleanlab's self-confidence, reversed."""
    return 1 - _at(labels, probabilities)


def normalized_margin(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return (1 + max p of another label − p of the label) / 2: cleanlab's margin, reversed."""
    others = probabilities.astype(np.float64)
    others[np.arange(len(labels)), labels] = -1
    scores: Floats = (1 + others.max(axis=1) - _at(labels, probabilities)) / 2
    return scores


def _at(labels: Labels, values: Probabilities) -> Floats:
    found: Floats = values[np.arange(len(labels)), labels].astype(np.float64)
    return found


SCORES: dict[str, Callable[[Labels, Probabilities], Floats]] = {
    "rps": ranked_probability_score,
    "excess_rps": excess_rps,
    "expected_error": expected_error,
    "tail": beyond,
    "self_confidence": self_confidence,
    "normalized_margin": normalized_margin,
}
"""Scores by name; higher means that the label is more suspicious. The last two ignore the order."""


@dataclass(frozen=True)
class Share:
    """An estimated share of wrong labels, with the ends of its 95 % interval."""

    estimate: float
    low: float
    high: float
    rows: int
    """The rows that were counted."""


def wrong_share(labels: Labels, suggested: Labels, probabilities: Probabilities) -> Share:
    """Estimate the share of wrong labels from the rows about which the models are surest.

    It is the share of the `SUREST` rows, those with the lowest `spread`, whose label is not the
    suggested one. The interval is that of Clopper and Pearson (1934). Both assume that

    - wrong labels are as frequent among these rows as among all, so that neither hard texts nor
      some of the labels have more of them, and
    - the suggested label is right in these rows. If it is not, the estimate is too high.

    The calibration of the distributions does not matter, only the order of the spreads.

    Args:
        labels: given classes, shape (rows,).
        suggested: classes that the models predict, shape (rows,).
        probabilities: distributions, shape (rows, K).
    """
    count = max(1, round(SUREST * len(labels)))
    surest = np.argsort(spread(probabilities), kind="stable")[:count]
    differ = int((labels[surest] != suggested[surest]).sum())
    low, high = stats.binomtest(differ, count).proportion_ci(0.95, "exact")
    return Share(differ / count, float(low), float(high), count)
