"""Corrections of p-values for their number."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, in the order given (Holm 1979).

    The probability that any true hypothesis has an adjusted p-value of 5 % or less is at most 5 %,
    whatever the dependence between the tests.
    """
    values = np.array(p_values, dtype=np.float64)
    order = values.argsort()
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    # An adjusted p-value is at least that of every smaller p-value.
    adjusted[order] = np.maximum.accumulate(values[order] * factors).clip(max=1)
    return [float(value) for value in adjusted]
