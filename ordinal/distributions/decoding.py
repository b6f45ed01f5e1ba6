"""Decoding: from a distribution over ordered classes to one class."""

import numpy as np

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
