"""Each metric against scikit-learn, scipy, torchmetrics or a case worked by hand."""

import json
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassCalibrationError

from ordinal.common.files import for_json
from ordinal.evaluation.metrics import all_metrics, bootstrap_intervals, ranked_probability_score

CLASSES = 5


def draw(rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=rows)
    probabilities = rng.dirichlet(np.ones(CLASSES), size=rows)
    probabilities[np.arange(rows), labels] += 0.5
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return labels, probabilities.argmax(axis=1), probabilities


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_their_oracles(seed: int) -> None:
    labels, predicted, probabilities = draw(seed=seed)
    per_class = [
        sk.mean_absolute_error(labels[labels == k], predicted[labels == k]) for k in range(CLASSES)
    ]
    calibration = MulticlassCalibrationError(CLASSES, n_bins=15, norm="l1")
    oracle = {
        "mae": sk.mean_absolute_error(labels, predicted),
        "rmse": sk.root_mean_squared_error(labels, predicted),
        "accuracy": sk.accuracy_score(labels, predicted),
        "off_by_one": np.mean(np.abs(labels - predicted) <= 1),
        "qwk": sk.cohen_kappa_score(labels, predicted, weights="quadratic"),
        "macro_mae": np.mean(per_class),
        "spearman": stats.spearmanr(labels, predicted).statistic,
        "kendall": stats.kendalltau(labels, predicted, variant="b").statistic,
        # The mean of the Brier scores of the K-1 questions "is y <= k?".
        "rps": np.mean(
            [
                sk.brier_score_loss(labels <= k, probabilities[:, : k + 1].sum(axis=1).clip(0, 1))
                for k in range(CLASSES - 1)
            ]
        ),
        "log_loss": sk.log_loss(labels, probabilities),
        "ece": calibration(torch.tensor(probabilities), torch.tensor(labels)).item(),
    }
    assert all_metrics(labels, predicted, probabilities) == pytest.approx(oracle, abs=1e-6)


def test_ranked_probability_score_of_a_case_worked_by_hand() -> None:
    # Cumulative 0.2, 0.7 against 0, 1 (label 1): (0.04 + 0.09) / 2.
    score = ranked_probability_score(np.array([1]), np.array([[0.2, 0.5, 0.3]]))
    assert score == pytest.approx([0.065])


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [([0, 1, 1], [0, 1, 2]), ([2, 2, 2], [2, 2, 2]), ([0, 1, 2], [1, 1, 1]), ([3], [0])],
    ids=["class absent", "one class", "constant predictions", "one row"],
)
def test_metrics_without_some_classes_are_defined_or_nan(
    labels: list[int], predicted: list[int]
) -> None:
    probabilities = np.eye(4)[predicted]
    values = all_metrics(np.array(labels), np.array(predicted), probabilities)
    assert values["mae"] == sk.mean_absolute_error(labels, predicted)
    constant = len(set(labels)) == 1 or len(set(predicted)) == 1
    assert math.isnan(values["spearman"]) is constant
    json.dumps(for_json(values), allow_nan=False)


def test_the_interval_of_the_mae_equals_scipys_on_the_errors() -> None:
    labels, predicted, probabilities = draw()
    ours = bootstrap_intervals(labels, predicted, probabilities, resamples=500, seed=3)["mae"]
    errors = np.abs(labels - predicted)
    theirs = stats.bootstrap(
        (errors,), np.mean, n_resamples=500, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high))


def test_bootstrap_intervals_cover_the_true_value() -> None:
    rng = np.random.default_rng(0)
    runs, hits = 200, 0
    for _ in range(runs):
        labels = np.full(100, 1)
        predicted = labels + (rng.random(100) < 0.3)  # the true MAE is 0.3
        low, high = bootstrap_intervals(labels, predicted, np.eye(3)[predicted], 200)["mae"]
        hits += low <= 0.3 <= high
    # The percentile interval of 100 rows covers a little less than 95 %.
    assert stats.binomtest(hits, runs, 0.93).pvalue > 0.001


def test_the_mean_cost_is_that_of_a_loop() -> None:
    labels, predicted, probabilities = draw()
    costs = np.random.default_rng(1).integers(1, 9, size=(CLASSES, CLASSES)).astype(float)
    np.fill_diagonal(costs, 0)
    matrix = costs.tolist()
    mean = sum(matrix[a][b] for a, b in zip(labels, predicted, strict=True)) / len(labels)
    found = all_metrics(labels, predicted, probabilities, matrix)
    assert found["cost"] == pytest.approx(mean)
    assert "cost" not in all_metrics(labels, predicted, probabilities)
    low, high = bootstrap_intervals(labels, predicted, probabilities, 100, matrix)["cost"]
    assert low < mean < high
