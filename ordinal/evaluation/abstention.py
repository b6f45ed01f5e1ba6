"""Abstention: the error that is left when the least certain rows get no label.

Reference: Geifman and El-Yaniv (2017), Selective classification for deep neural networks.
"""

import numpy as np
import pandas as pd

from ordinal.common.types import Floats, Labels


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


def abstention_by_width(errors: Floats, widths: Labels) -> pd.DataFrame:
    """Return the rows that keep a label if those with a wider interval than `width` get none.

    One row per width that occurs: `width`, `kept` (share of the rows), and the `mae` and the
    `accuracy` of the kept rows. The last width keeps all rows.

    Args:
        errors: absolute error of each row.
        widths: number of labels in each row's interval.
    """
    rows = []
    for width in np.unique(widths):
        kept = widths <= width
        rows.append((width, kept.mean(), errors[kept].mean(), (errors[kept] == 0).mean()))
    return pd.DataFrame(rows, columns=["width", "kept", "mae", "accuracy"])
