"""The tables that `dvc plots` draws, one row per bar or point."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ordinal.common.types import Labels, Probabilities
from ordinal.evaluation.abstention import risk_curve
from ordinal.evaluation.metrics import ECE_BINS, confidence_bins, expected_error

LENGTH_BINS = 5
RISK_POINTS = 100


def plot_tables(
    labels: Labels, predicted: Labels, lengths: Labels, names: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Return tables by name: confusion, mae_per_class, mae_per_length and distribution.

    Args:
        labels: true classes, shape (rows,).
        predicted: decoded classes, shape (rows,).
        lengths: tokens of each review, shape (rows,).
        names: the K labels, lowest first.
    """
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
        "mae_per_length": mae_per_length(labels, predicted, lengths),
        "distribution": shares.round(6)
        .rename_axis("label")
        .reset_index()
        .melt("label", var_name="which", value_name="share"),
    }


def mae_per_length(labels: Labels, predicted: Labels, lengths: Labels) -> pd.DataFrame:
    """Return the mean absolute error by length, one row per bin: `tokens`, `rows`, `mae`.

    The bins end at quantiles of the lengths, so that they have about the same number of rows.
    Reviews of equal length are in the same bin, so there may be fewer than `LENGTH_BINS`.
    """
    shares = np.arange(1, LENGTH_BINS + 1) / LENGTH_BINS
    ends = np.unique(np.quantile(lengths, shares, method="inverted_cdf"))
    starts = [lengths.min(), *(ends[:-1] + 1)]
    bins = np.searchsorted(ends, lengths)
    rows = np.bincount(bins)
    mae = np.bincount(bins, np.abs(labels - predicted)) / rows
    tokens = [f"{low} to {high}" for low, high in zip(starts, ends, strict=True)]
    return pd.DataFrame({"tokens": tokens, "rows": rows, "mae": mae.round(6)})


def reliability(labels: Labels, distributions: Mapping[str, Probabilities]) -> pd.DataFrame:
    """Return the mean `confidence` and `accuracy` of the most probable class, one row per bin.

    The bins are those of the expected calibration error; empty ones are left out. The column
    `calibration` has the key of `distributions`.
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


def risk_coverage(labels: Labels, predicted: Labels, probabilities: Probabilities) -> pd.DataFrame:
    """Return points of the `abstention.risk_curve`, at most `RISK_POINTS`: `kept` and `mae`.

    `kept` is the share of rows that are kept when the least certain ones are left out first, and
    `mae` their mean absolute error. A row is less certain if the expected error of its decoded
    label is larger, under the model's own distribution.
    """
    errors = np.abs(labels - predicted).astype(np.float64)
    curve, count = risk_curve(errors, expected_error(predicted, probabilities)), len(labels)
    # Rounded up, in whole numbers.
    kept = np.unique(-(-np.arange(1, RISK_POINTS + 1) * count // RISK_POINTS))
    return pd.DataFrame({"kept": (kept / count).round(6), "mae": curve[kept - 1].round(6)})
