"""Conformal label intervals, which contain the true label with a chosen probability.

Split-conformal prediction (Vovk et al. 2005). A method gives each class of a row a nonconformity
score. The interval of a row reaches from the lowest to the highest class whose score is at most a
threshold, which is calibrated on rows held out of training. Two methods give the scores:

- adaptive: the nested sets of ordinal adaptive prediction (Lu, Angelopoulos, Pomerantz 2022). A set
  starts at the most probable class and grows by the more probable of its two neighbours.
- shortest: the shortest interval with a required mass (Zhang et al. 2025, arXiv:2511.16845). As the
  mass grows, a class may leave the shortest interval again. Its score is the mass from which on all
  of these intervals contain it. The guarantee needs nothing but a score per class, so it holds.

Both are the same for distributions with one peak. The threshold is one for all classes, or one per
class (Vovk 2012), so that the coverage holds for the rows of each class.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ordinal.common.choices import CoverageBy, Interval
from ordinal.common.types import Floats, Labels, Probabilities

Scores = dict[Interval, list[list[float]]]
"""The scores of the true classes of the calibration rows: by method, and then by class."""


@dataclass(frozen=True)
class IntervalRule:
    """The choice of the label intervals."""

    coverage: float = 0.9
    """Share of texts whose interval contains the true label, for texts like the validation rows."""
    coverage_by: CoverageBy = "none"
    """label: the coverage holds for the texts of each label; none: for all texts together."""
    interval: Interval = "adaptive"
    """The method."""

    def thresholds(self, scores: Scores) -> Floats:
        """Return the threshold of each class, shape (K,)."""
        of_classes = scores[self.interval]
        if self.coverage_by == "label":
            return np.array([conformal_threshold(self.coverage, of_one) for of_one in of_classes])
        together = sorted(score for of_one in of_classes for score in of_one)
        return np.full(len(of_classes), conformal_threshold(self.coverage, together))

    def intervals(self, probabilities: Probabilities, scores: Scores) -> tuple[Labels, Labels]:
        """Return the lowest and the highest class of each row's interval, both of shape (rows,)."""
        return intervals(NONCONFORMITY[self.interval](probabilities), self.thresholds(scores))


def nonconformity_scores(probabilities: Probabilities) -> Floats:
    """Return the probability inside the growing set just before each class joins it.

    Shape (rows, K). The score of the most probable class is 0. If two neighbours have the same
    probability, the lower one joins first.
    """
    rows, classes = np.arange(len(probabilities)), probabilities.shape[1]
    # One column on each side, less probable than any class: the set never grows beyond the ends.
    padded = np.pad(probabilities.astype(np.float64), ((0, 0), (1, 1)), constant_values=-1)
    low = padded.argmax(axis=1)
    high, mass = low.copy(), padded[rows, low]
    scores = np.zeros((len(rows), classes + 2))
    for _ in range(classes - 1):
        downwards = padded[rows, low - 1] >= padded[rows, high + 1]
        low, high = low - downwards, high + ~downwards
        joined = np.where(downwards, low, high)
        scores[rows, joined] = mass
        mass = mass + padded[rows, joined]
    return scores[:, 1:-1]


def shortest_scores(probabilities: Probabilities) -> Floats:
    """Return the mass from which on all shortest intervals contain each class, shape (rows, K).

    The interval of a mass is the shortest with more than that mass; of equally short ones, it is
    the most probable (ties go to the lowest).
    """
    rows, classes = probabilities.shape
    cumulative = np.pad(np.cumsum(probabilities, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    scores, shorter = np.zeros((rows, classes)), np.zeros(rows)
    grid = np.arange(classes)
    for length in range(1, classes + 1):
        masses = cumulative[:, length:] - cumulative[:, :-length]
        low = masses.argmax(axis=1)[:, None]
        outside = (grid < low) | (grid >= low + length)
        shorter = np.maximum(shorter, masses.max(axis=1))
        scores = np.where(outside, shorter[:, None], scores)
    return scores


NONCONFORMITY: dict[Interval, Callable[[Probabilities], Floats]] = {
    "adaptive": nonconformity_scores,
    "shortest": shortest_scores,
}
"""The scores of all classes, shape (rows, K), by method."""


def calibration_scores(labels: Labels, probabilities: Probabilities) -> Scores:
    """Return the scores of the rows' true classes: by method, then by class, in rising order."""
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    found: Scores = {}
    for method, nonconformity in NONCONFORMITY.items():
        scores = nonconformity(probabilities)[rows, labels]
        found[method] = [np.sort(scores[labels == k]).tolist() for k in range(classes)]
    return found


def conformal_threshold(coverage: float, scores: Sequence[float]) -> float:
    """Return the score up to which classes belong to the interval.

    It is the ⌈(n + 1) · coverage⌉-th smallest of the n scores, which are in rising order. For new
    rows that are exchangeable with the calibration rows, the interval then contains the true class
    with a probability of at least `coverage`.

    With too few rows for this coverage the threshold is infinite: the interval has every class.
    """
    rank = math.ceil((len(scores) + 1) * coverage)
    return scores[rank - 1] if rank <= len(scores) else math.inf


def intervals(scores: Floats, thresholds: Floats) -> tuple[Labels, Labels]:
    """Return the lowest and the highest class of each row's interval, both of shape (rows,).

    Between them may be classes with a score above their threshold. If all are above, which happens
    with shortest intervals only, the interval is that of the lowest score.

    Args:
        scores: the scores of all classes, shape (rows, K).
        thresholds: the threshold of each class, shape (K,).
    """
    lowest = scores == scores.min(axis=1, keepdims=True)
    inside = scores <= thresholds
    inside |= lowest & ~inside.any(axis=1, keepdims=True)
    classes = inside.shape[1]
    return inside.argmax(axis=1), classes - 1 - inside[:, ::-1].argmax(axis=1)
