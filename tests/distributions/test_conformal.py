"""Conformal intervals against a plain loop, a case worked by hand and the promised coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from ordinal.distributions.conformal import (
    calibration_scores,
    conformal_threshold,
    intervals,
    nonconformity_scores,
)


def draw(rows: int, seed: int, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the distributions of an overconfident model."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet(np.full(classes, 0.7), size=rows)
    labels = np.array([rng.choice(classes, p=row) for row in true])
    claimed = true**2 + 0.01
    return labels, claimed / claimed.sum(axis=1, keepdims=True)


def scores_by_a_loop(row: list[float]) -> list[float]:
    low = high = row.index(max(row))
    scores = {low: 0.0}
    while len(scores) < len(row):
        mass = sum(row[low : high + 1])
        if high == len(row) - 1 or (low > 0 and row[low - 1] >= row[high + 1]):
            low -= 1
            scores[low] = mass
        else:
            high += 1
            scores[high] = mass
    return [scores[k] for k in range(len(row))]


@pytest.mark.parametrize("classes", [2, 3, 5, 10])
def test_scores_equal_those_of_a_loop(classes: int) -> None:
    _, probabilities = draw(200, seed=classes, classes=classes)
    expected = [scores_by_a_loop(row) for row in probabilities.tolist()]
    np.testing.assert_allclose(nonconformity_scores(probabilities), expected)


def test_a_case_worked_by_hand() -> None:
    probabilities = np.array([[0.1, 0.5, 0.15, 0.25]])
    np.testing.assert_allclose(nonconformity_scores(probabilities), [[0.9, 0.0, 0.5, 0.65]])
    assert [int(end[0]) for end in intervals(probabilities, 0.0)] == [1, 1]
    assert [int(end[0]) for end in intervals(probabilities, 0.6)] == [1, 2]
    assert [int(end[0]) for end in intervals(probabilities, math.inf)] == [0, 3]


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_intervals_have_the_promised_coverage(coverage: float) -> None:
    draws, hits = 400, 0
    for seed in range(draws):
        labels, probabilities = draw(101, seed)
        scores = calibration_scores(labels[:100], probabilities[:100])
        threshold = conformal_threshold(coverage, list(scores))
        low, high = intervals(probabilities[100:], threshold)
        hits += int(low[0] <= labels[100] <= high[0])
    # The expected coverage is between `coverage` and `coverage` + 1/101.
    assert stats.binomtest(hits, draws, coverage, alternative="less").pvalue > 0.01
    assert stats.binomtest(hits, draws, coverage + 1 / 101, alternative="greater").pvalue > 0.01


def test_with_too_few_rows_the_threshold_is_infinite() -> None:
    labels, probabilities = draw(5, seed=0)
    assert conformal_threshold(0.9, list(calibration_scores(labels, probabilities))) == math.inf
