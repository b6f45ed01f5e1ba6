"""Decoding: from a distribution over ordered classes to one class."""

import numpy as np

from ordinal.common.choices import Decoding
from ordinal.common.costs import Costs
from ordinal.common.types import Floats, Labels, Probabilities

ROUNDING = 1e-12
"""Relative to the largest cost: expected costs that differ by less are the same number."""


def decode(
    probabilities: Probabilities, rule: Decoding = "median", costs: Costs | None = None
) -> Labels:
    """Decode distributions, shape (rows, K), into classes, shape (rows,).

    - median: the lowest class at which the cumulative probability reaches one half. It minimises
      the expected absolute error.
    - mean: the expected class, rounded to the nearest integer (ties go up). Before rounding it
      minimises the expected squared error.
    - mode: the most probable class (ties go to the lowest). It maximises the expected accuracy.
    - cost: the class with the least expected cost (ties go to the lowest); needs `costs`.
    """
    classes = np.arange(probabilities.shape[1])
    if rule == "median":
        cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)
        reached = cumulative >= 0.5 * cumulative[:, -1:]  # the last one is 1, except for rounding
        return np.asarray(reached.argmax(axis=1), np.int64)
    if rule == "mean":
        return np.floor(probabilities.astype(np.float64) @ classes + 0.5).astype(np.int64)
    if rule == "cost":
        expected = expected_costs(probabilities, costs)
        least = expected.min(axis=1, keepdims=True) + ROUNDING * np.max(costs or 0)
        return np.asarray((expected <= least).argmax(axis=1), np.int64)
    return np.asarray(probabilities.argmax(axis=1), np.int64)


def expected_costs(probabilities: Probabilities, costs: Costs | None) -> Floats:
    """Return the expected cost of predicting each class, shape (rows, K).

    Raises:
        ValueError: there are no costs.
    """
    if costs is None:
        raise ValueError("the rule `cost` needs the costs of errors")
    expected: Floats = probabilities.astype(np.float64) @ np.asarray(costs, np.float64)
    return expected
