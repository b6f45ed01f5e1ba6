"""Conformal label intervals, which contain the true label with a chosen probability.

Split-conformal prediction (Vovk et al. 2005) with the nested sets of ordinal adaptive prediction
(Lu, Angelopoulos, Pomerantz 2022). A set starts at the most probable class and grows by the more
probable of its two neighbours, so it is always an interval. A threshold, calibrated on rows held
out of training, determines when it stops.
"""

import math
from collections.abc import Sequence

import numpy as np

from ordinal.common.types import Floats, Labels, Probabilities


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


def calibration_scores(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return the nonconformity score of each row's true class, in rising order, shape (rows,)."""
    return np.sort(nonconformity_scores(probabilities)[np.arange(len(labels)), labels])


def conformal_threshold(coverage: float, scores: Sequence[float]) -> float:
    """Return the score up to which classes belong to the interval.

    It is the ⌈(n + 1) · coverage⌉-th smallest of the n `calibration_scores`. For new rows that are
    exchangeable with the calibration rows, the interval then contains the true class with a
    probability of at least `coverage`. It exceeds `coverage` by at most 1 / (n + 1), unless the
    most probable class alone is right more often.

    With too few rows for this coverage the threshold is infinite: the interval has every class.
    """
    rank = math.ceil((len(scores) + 1) * coverage)
    return scores[rank - 1] if rank <= len(scores) else math.inf


def intervals(probabilities: Probabilities, threshold: float) -> tuple[Labels, Labels]:
    """Return the lowest and the highest class of each row's interval, both of shape (rows,)."""
    inside = nonconformity_scores(probabilities) <= threshold
    classes = inside.shape[1]
    return inside.argmax(axis=1), classes - 1 - inside[:, ::-1].argmax(axis=1)
