"""Where a label is decoded: from a distribution over ordered classes to one class."""

import numpy as np
import numpy.typing as npt

from ordinal.common.types import Decoding, Labels, Probabilities


def decode(probabilities: Probabilities, rule: Decoding = "median") -> Labels:
    """Turn distributions, shape (rows, K), into labels, shape (rows,).

    - median: the lowest class up to which the probabilities reach one half; it has the least
      expected absolute error.
    - mean: the expected class, rounded to the nearest (a tie goes up); it has the least expected
      squared error before rounding.
    - mode: the most probable class (a tie goes to the lowest); it is right most often.
    """
    classes = np.arange(probabilities.shape[1])
    if rule == "median":
        cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)
        reached = cumulative >= 0.5 * cumulative[:, -1:]  # the last is 1 but for rounding
        return np.asarray(reached.argmax(axis=1), np.int64)
    if rule == "mean":
        return np.floor(probabilities.astype(np.float64) @ classes + 0.5).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1), np.int64)


def undecided(
    probabilities: Probabilities, rule: Decoding, distance: float
) -> npt.NDArray[np.bool_]:
    """Whether a distribution close to each might have another label, shape (rows,).

    Close is a total variation of `distance`: so much may the probability of any set of classes
    differ, and K - 1 times as much the expected class.
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
