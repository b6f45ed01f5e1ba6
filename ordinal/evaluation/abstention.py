"""Abstention: the error that is left when the least certain rows get no label.

A row is the less certain the larger the expected absolute error of its label is under the model's
own distribution. Reference: Geifman and El-Yaniv (2017), Selective classification for deep neural
networks.
"""

import numpy as np
import pandas as pd

from ordinal.common.types import Floats, Labels, Probabilities


def expected_errors(probabilities: Probabilities, predicted: Labels) -> Floats:
    """Return Σ_k p_k · |k − predicted| of each row, shape (rows,)."""
    distances = np.abs(np.arange(probabilities.shape[1]) - predicted[:, None])
    errors: Floats = (probabilities.astype(np.float64) * distances).sum(axis=1)
    return errors


def risk_curve(errors: Floats, uncertainty: Floats) -> Floats:
    """Return the mean error of the 1, 2, … n most certain rows, shape (rows,).

    This is the risk-coverage curve. Its mean is the area under it (Geifman, Uziel, El-Yaniv 2019).
    Equally certain rows share their mean error, so that the order of the rows does not matter.

    Args:
        errors: absolute error of each row.
        uncertainty: rows with a high one are left out first.
    """
    _, group = np.unique(uncertainty, return_inverse=True)
    means = np.bincount(group, errors) / np.bincount(group)
    curve: Floats = np.cumsum(means[np.sort(group)]) / np.arange(1, len(errors) + 1)
    return curve


def abstention_by_width(errors: Floats, widths: Labels, classes: int) -> pd.DataFrame:
    """Return the rows that keep a label if those with a wider interval than `width` get none.

    Columns: `width`, `kept` (share of the rows) and `mae` of these rows, NaN if there are none. The
    last row is the first width that keeps all rows, or K−1.

    Args:
        errors: absolute error of each row.
        widths: number of labels in each row's interval.
        classes: K.
    """
    rows = []
    for width in range(1, classes):
        inside = widths <= width
        mae = errors[inside].mean() if inside.any() else np.nan
        rows.append((width, inside.mean(), mae))
        if inside.all():
            break
    return pd.DataFrame(rows, columns=["width", "kept", "mae"])
