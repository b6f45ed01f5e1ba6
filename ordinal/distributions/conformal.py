"""Intervals of adjacent classes that hold the true one as often as promised, whatever the model.

Split-conformal prediction (Vovk et al. 2005) with the nested sets of ordinal adaptive prediction
(Lu, Angelopoulos, Pomerantz 2022): a set starts at the most probable class and grows by the
likelier of its two neighbours. How far it grows is calibrated on rows held out of training.
"""

import math
from collections.abc import Sequence

import numpy as np

from ordinal.common.types import Floats, Labels, Probabilities


def nonconformity_scores(probabilities: Probabilities) -> Floats:
    """For each row and class, the probability that the set holds before it takes in the class.

    Shape (rows, K): 0 for the most probable class. Of neighbours alike the lower is first.
    """
    rows, classes = np.arange(len(probabilities)), probabilities.shape[1]
    edged = np.pad(probabilities.astype(np.float64), ((0, 0), (1, 1)), constant_values=-1)
    low = edged.argmax(axis=1)
    high, mass = low.copy(), edged[rows, low]
    scores = np.zeros((len(rows), classes + 2))
    for _ in range(classes - 1):
        downwards = edged[rows, low - 1] >= edged[rows, high + 1]
        low, high = low - downwards, high + ~downwards
        taken = np.where(downwards, low, high)
        scores[rows, taken] = mass
        mass = mass + edged[rows, taken]
    return scores[:, 1:-1]


def calibration_scores(labels: Labels, probabilities: Probabilities) -> Floats:
    """How far each row's set has to grow to hold the true class, in rising order, shape (rows,)."""
    return np.sort(nonconformity_scores(probabilities)[np.arange(len(labels)), labels])


def conformal_threshold(coverage: float, scores: Sequence[float]) -> float:
    """The mass up to which sets have to grow, by the `calibration_scores` of rows held out.

    For rows exchangeable with these a set then holds the true class with probability `coverage`
    or more: by at most 1 / (rows + 1) more, unless the most probable class alone is right more
    often. Infinite, so that every class is taken in, where the rows are too few to promise it.
    """
    rank = math.ceil((len(scores) + 1) * coverage)
    return scores[rank - 1] if rank <= len(scores) else math.inf


def intervals(probabilities: Probabilities, mass: float) -> tuple[Labels, Labels]:
    """The lowest and the highest class of each row's set, both of shape (rows,)."""
    held = nonconformity_scores(probabilities) <= mass
    classes = held.shape[1]
    return held.argmax(axis=1), classes - 1 - held[:, ::-1].argmax(axis=1)
