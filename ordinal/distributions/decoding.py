"""Decoding: from a distribution over ordered classes to one class."""

import numpy as np
import numpy.typing as npt

from ordinal.common.choices import Decoding
from ordinal.common.types import Labels, Probabilities


def decode(probabilities: Probabilities, rule: Decoding = "median") -> Labels:
    """Decode distributions, shape (rows, K), into classes, shape (rows,).

    - median: the lowest class at which the cumulative probability reaches one half. It minimises
      the expected absolute error.
    - mean: the expected class, rounded to the nearest integer (ties go up). Before rounding it
      minimises the expected squared error.
    - mode: the most probable class (ties go to the lowest). It maximises the expected accuracy.
    """
    classes = np.arange(probabilities.shape[1])
    if rule == "median":
        cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)
        reached = cumulative >= 0.5 * cumulative[:, -1:]  # the last one is 1, except for rounding
        return np.asarray(reached.argmax(axis=1), np.int64)
    if rule == "mean":
        return np.floor(probabilities.astype(np.float64) @ classes + 0.5).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1), np.int64)


def undecided(
    probabilities: Probabilities, rule: Decoding, distance: float
) -> npt.NDArray[np.bool_]:
    """Return for each row if a small change of its distribution could change its label.

    Args:
        probabilities: distributions, shape (rows, K).
        rule: the decoding rule.
        distance: total variation of the change. The probability of any set of classes changes by
            at most `distance`, the expected class by at most (K − 1) · `distance`.

    Returns:
        Booleans, shape (rows,).
    """
    classes = np.arange(probabilities.shape[1])
    if rule == "median":
        cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)
        below = cumulative[:, :-1] / cumulative[:, -1:]
        return np.asarray((np.abs(below - 0.5) <= distance).any(axis=1))
    if rule == "mean":
        expected = probabilities.astype(np.float64) @ classes + 0.5
        return np.asarray(np.abs(expected - np.rint(expected)) <= distance * classes[-1])
    second, first = np.sort(probabilities, axis=1)[:, -2:].T
    return np.asarray(first - second <= 2 * distance)
