"""How good predictions are: of the decoded label, of the distribution, and how sure one can be."""

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import stats

from ordinal.common.types import Floats, Labels, Probabilities

ECE_BINS = 15


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """Counts of (label, predicted), shape (K, K)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def label_metrics(labels: Labels, predicted: Labels, classes: int) -> dict[str, float]:
    """Metrics of decoded labels; all errors are in classes (stars). NaN where one is not defined.

    - mae, rmse: mean absolute and root mean squared error.
    - accuracy, off_by_one: share of rows that are right, and within one class of right.
    - qwk: quadratic weighted kappa (Cohen 1968); undefined if all is one class.
    - macro_mae: mean over the classes present of the MAE of each (Baccianella et al. 2009).
    - spearman, kendall: rank correlations (tau-b); undefined if either side is constant.
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
    """Squared distance of the cumulative distribution from the truth, shape (rows,), in 0 … 1.

    Epstein (1969), divided by K−1 as in Murphy (1971).
    """
    classes = probabilities.shape[1]
    cumulative = np.cumsum(probabilities, axis=1, dtype=np.float64)[:, :-1]
    truth = labels[:, None] <= np.arange(classes - 1)
    scores: Floats = ((cumulative - truth) ** 2).sum(axis=1) / (classes - 1)
    return scores


def confidence_bins(
    labels: Labels, probabilities: Probabilities
) -> tuple[Floats, npt.NDArray[np.bool_], Labels]:
    """How sure each row's likeliest class is, whether it is right, and its bin of `ECE_BINS`."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    return confidence, probabilities.argmax(axis=1) == labels, bins


def expected_calibration_error(labels: Labels, probabilities: Probabilities) -> float:
    """Mean gap between the probability of the likeliest class and how often it is right.

    Guo et al. (2017), eq. 3, over `ECE_BINS` bins of equal width.
    """
    confidence, correct, bins = confidence_bins(labels, probabilities)
    gap = np.bincount(bins, confidence - correct, ECE_BINS)
    return float(np.abs(gap).sum() / len(labels))


def log_loss(labels: Labels, probabilities: Probabilities) -> float:
    """Mean of −log p of the true class, p being held off 0 by the smallest step of its type."""
    of_truth = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, np.finfo(of_truth.dtype).eps)).mean())


def distribution_metrics(labels: Labels, probabilities: Probabilities) -> dict[str, float]:
    """The mean rps, ece and log_loss: of the distribution alone, whatever is decoded from it."""
    return {
        "rps": float(ranked_probability_score(labels, probabilities).mean()),
        "ece": expected_calibration_error(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
    }


def all_metrics(
    labels: Labels, predicted: Labels, probabilities: Probabilities
) -> dict[str, float]:
    """`label_metrics` and `distribution_metrics` together."""
    return label_metrics(labels, predicted, probabilities.shape[1]) | distribution_metrics(
        labels, probabilities
    )


def bootstrap_intervals(
    labels: Labels, predicted: Labels, probabilities: Probabilities, resamples: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of `all_metrics`.

    They speak of the test rows drawn, not of the luck of one training run.
    """
    names = list(all_metrics(labels, predicted, probabilities))

    def values(rows: Labels) -> Floats:
        metrics = all_metrics(labels[rows], predicted[rows], probabilities[rows])
        return np.array(list(metrics.values()))

    low, high = bootstrap(values, len(labels), resamples, seed)
    return dict(zip(names, zip(low, high, strict=True), strict=True))


def bootstrap(
    statistics: Callable[[Labels], Floats], rows: int, resamples: int, seed: int
) -> tuple[Floats, Floats]:
    """Ends of the 95 % percentile bootstrap intervals (Efron 1979) of some statistics of rows.

    `statistics` turns the indices of the rows drawn, shape (rows,), into values, shape (m,).
    """

    def vectorized(draws: Labels, axis: int) -> Floats:
        values = np.stack([statistics(draw) for draw in draws.reshape(-1, rows)], axis=1)
        return values.reshape(len(values), *draws.shape[:-1])

    with warnings.catch_warnings():
        # A statistic that is the same in all resamples has an interval of no width: no warning.
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
