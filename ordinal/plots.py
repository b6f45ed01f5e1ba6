"""The tables behind the plots: what `dvc plots` draws, one row a mark."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ordinal.decoding import Labels, Probabilities
from ordinal.metrics import ECE_BINS, confidence_bins


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


def reliability(labels: Labels, distributions: Mapping[str, Probabilities]) -> pd.DataFrame:
    """How often the likeliest class is right beside how sure it was: a row a bin that has rows.

    The bins are those of the expected calibration error; `confidence` and `accuracy` are means.
    """
    tables = []
    for which, probabilities in distributions.items():
        confidence, correct, bins = confidence_bins(labels, probabilities)
        rows = np.bincount(bins, minlength=ECE_BINS)
        sums = {
            "confidence": np.bincount(bins, confidence, ECE_BINS),
            "accuracy": np.bincount(bins, correct, ECE_BINS),
        }
        table = pd.DataFrame(sums).div(rows, axis=0).round(6).assign(rows=rows, calibration=which)
        tables.append(table[rows > 0])
    return pd.concat(tables, ignore_index=True)
