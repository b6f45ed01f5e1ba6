"""Metrics of decoded labels and of distributions, and bootstrap intervals of any statistic."""

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from ordinal.common.costs import Costs
from ordinal.common.types import Floats, Labels, Probabilities

ECE_BINS = 15


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Return the counts of each (label, predicted), shape (K, K)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def label_metrics(labels: Labels, predicted: Labels, classes: int) -> dict[str, float]:
    """Return the metrics of decoded labels. Undefined metrics are NaN.

    - mae, rmse: mean absolute and root mean squared error, in classes.
    - accuracy, off_by_one: share of rows with the right class, and at most one class off.
    - qwk: quadratic weighted kappa (Cohen 1968). Undefined if there is only one class.
    - macro_mae: mean of the MAE of each class that occurs (Baccianella et al. 2009).
    - spearman, kendall: rank correlations (tau-b). Undefined if either side is constant.

    Args:
        labels: true classes, shape (rows,).
        predicted: decoded classes, shape (rows,).
        classes: K.
    """
    counts = confusion_matrix(labels, predicted, classes)
    grid = np.arange(classes)
    distance = np.abs(grid[:, None] - grid)
    rows, rows_per_class, predicted_per_class = counts.sum(), counts.sum(1), counts.sum(0)
    present = rows_per_class > 0
    mae_per_class = (counts * distance).sum(1)[present] / rows_per_class[present]
    squared = (counts * distance**2).sum()
    expected_squared = (np.outer(rows_per_class, predicted_per_class) * distance**2).sum() / rows
    constant = present.sum() == 1 or (predicted_per_class > 0).sum() == 1
    return {
        "mae": float((counts * distance).sum() / rows),
        "rmse": float(np.sqrt(squared / rows)),
        "accuracy": float(np.trace(counts) / rows),
        "off_by_one": float(counts[distance <= 1].sum() / rows),
        "qwk": float(1 - squared / expected_squared) if expected_squared else np.nan,
        "macro_mae": float(mae_per_class.mean()),
        "spearman": np.nan if constant else float(stats.spearmanr(labels, predicted).statistic),
        "kendall": np.nan if constant else float(stats.kendalltau(labels, predicted).statistic),
    }


def ranked_probability_score(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return the squared distance between the cumulative distribution and the true one.

    Shape (rows,), between 0 and 1: Epstein (1969), divided by K−1 as in Murphy (1971).
    """
    classes = probabilities.shape[1]
    cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)[:, :-1]
    truth = labels[:, None] <= np.arange(classes - 1)
    scores: Floats = ((cumulative - truth) ** 2).sum(axis=1) / (classes - 1)
    return scores


def expected_error(labels: Labels, probabilities: Probabilities) -> Floats:
    """Return the expected distance Σ_k p_k |y − k| of each label y from its distribution.

    Shape (rows,), in classes.
    """
    distance = np.abs(labels[:, None] - np.arange(probabilities.shape[1]))
    expected: Floats = (probabilities.astype(np.float64) * distance).sum(axis=1)
    return expected


def confidence_bins(
    labels: Labels, probabilities: Probabilities
) -> tuple[Floats, npt.NDArray[np.bool_], Labels]:
    """Return the probability of each row's most probable class, if it is right, and its bin.

    The three arrays have shape (rows,). The `ECE_BINS` bins of the probability are equally wide.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    return confidence, probabilities.argmax(axis=1) == labels, bins


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean gap between the most probable class's probability and its accuracy.

    Guo et al. (2017), eq. 3, with `ECE_BINS` bins of equal width.
    """
    confidence, correct, bins = confidence_bins(labels, probabilities)
    gap = np.bincount(bins, confidence - correct, ECE_BINS)
    return float(np.abs(gap).sum() / len(labels))


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean of −log p of the true class, with p at least the epsilon of its dtype."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, np.finfo(of_truth.dtype).eps)).mean())


def distribution_metrics(labels: Labels, probabilities: Probabilities) -> dict[str, float]:
    """Return the metrics that need no decoding: mean rps, ece and log_loss."""
    return {
        "rps": float(ranked_probability_score(labels, probabilities).mean()),
        "ece": expected_calibration_error(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
    }


def error_costs(labels: Labels, predicted: Labels, costs: Costs) -> Floats:
    """Return the cost of each decoded label, shape (rows,)."""
    return np.asarray(costs, np.float64)[labels, predicted]


def all_metrics(
    labels: Labels, predicted: Labels, probabilities: Probabilities, costs: Costs | None = None
) -> dict[str, float]:
    """Return `label_metrics` and `distribution_metrics`, and with costs the mean cost."""
    metrics = label_metrics(labels, predicted, probabilities.shape[1])
    if costs is not None:
        metrics["cost"] = float(error_costs(labels, predicted, costs).mean())
    return metrics | distribution_metrics(labels, probabilities)


def bootstrap_intervals(
    labels: Labels,
    predicted: Labels,
    probabilities: Probabilities,
    resamples: int,
    costs: Costs | None = None,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return the 95 % bootstrap interval (low, high) of each of `all_metrics`.

    The intervals cover the choice of the test rows, not the randomness of training.
    """
    names = list(all_metrics(labels, predicted, probabilities, costs))

    def values(rows: Labels) -> Floats:
        metrics = all_metrics(labels[rows], predicted[rows], probabilities[rows], costs)
        return np.array(list(metrics.values()))

    low, high = bootstrap(values, len(labels), resamples, seed)
    return dict(zip(names, zip(low, high, strict=True), strict=True))


def bootstrap(
    statistics: Callable[[Labels], Floats], rows: int, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Return the ends of 95 % percentile bootstrap intervals (Efron 1979), both of shape (m,).

    Args:
        statistics: from the indices of resampled rows, shape (rows,), to m values, shape (m,).
        rows: number of rows.
        resamples: number of bootstrap resamples.
        seed: seed of the resampling.
    """

    def vectorized(draws: Labels, axis: int) -> Floats:
        values = np.stack([statistics(draw) for draw in draws.reshape(-1, rows)], axis=1)
        return values.reshape(len(values), *draws.shape[:-1])

    with warnings.catch_warnings():
        # A statistic that is equal in all resamples has an interval of width 0, as it should.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        interval = stats.bootstrap(
            (np.arange(rows),),
            vectorized,
            n_resamples=resamples,
            batch=100,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return interval.low, interval.high
