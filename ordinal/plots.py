"""The tables behind the plots: what `dvc plots` draws, one row a mark."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ordinal.decoding import Labels


def plot_tables(labels: Labels, predicted: Labels, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Tables of the test rows: the confusion matrix, MAE per class, and both distributions."""
    series = np.asarray(names)
    rows = np.bincount(labels, minlength=len(names))
    errors = np.bincount(labels, np.abs(labels - predicted), len(names))
    present = rows > 0
    shares = pd.DataFrame(
        {"true": rows, "predicted": np.bincount(predicted, minlength=len(names))}, index=series
    ) / len(labels)
    return {
        "confusion": pd.DataFrame({"label": series[labels], "predicted": series[predicted]}),
        "mae_per_class": pd.DataFrame(
            {"label": series[present], "mae": (errors[present] / rows[present]).round(6)}
        ),
        "distribution": shares.round(6)
        .rename_axis("label")
        .reset_index()
        .melt("label", var_name="which", value_name="share"),
    }
