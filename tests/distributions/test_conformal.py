"""Conformal intervals against a plain loop, a case worked by hand and the promised coverage."""

import math
from itertools import pairwise

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin

from ordinal.common.choices import CoverageBy, Interval
from ordinal.distributions.conformal import (
    NONCONFORMITY,
    IntervalRule,
    calibration_scores,
    intervals,
    nonconformity_scores,
    shortest_scores,
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


def interval_by_a_loop(row: list[float], mass: float) -> tuple[int, int]:
    """The shortest interval with more than a mass; the most probable of equally short ones."""
    classes = len(row)
    for length in range(1, classes + 1):
        sums = [sum(row[low : low + length]) for low in range(classes - length + 1)]
        if max(sums) > mass or length == classes:
            low = sums.index(max(sums))
            return low, low + length - 1
    raise AssertionError


@pytest.mark.parametrize("classes", [2, 3, 5, 10])
def test_a_class_is_in_all_shortest_intervals_from_its_score_on(classes: int) -> None:
    _, probabilities = draw(100, seed=classes, classes=classes)
    scores = shortest_scores(probabilities)
    for row, found in zip(probabilities.tolist(), scores.tolist(), strict=True):
        sums = [
            [sum(row[low : low + length]) for low in range(classes - length + 1)]
            for length in range(1, classes)
        ]
        steps = [0.0, *map(max, sums), 1.0]  # where the shortest interval grows
        for k in range(classes):
            expected = 0.0
            for start, end in pairwise(steps):
                low, high = interval_by_a_loop(row, (start + end) / 2)
                if not low <= k <= high:
                    expected = end
            assert found[k] == pytest.approx(expected)


def test_with_one_peak_both_methods_are_the_same() -> None:
    rng = np.random.default_rng(0)
    means, scales = rng.uniform(-1, 7, (300, 1)), rng.uniform(0.5, 4, (300, 1))
    probabilities = np.exp(-(((np.arange(7) - means) / scales) ** 2))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shortest_scores(probabilities), nonconformity_scores(probabilities))


def test_a_shortest_interval_is_never_longer_than_the_growing_one_of_the_same_mass() -> None:
    _, probabilities = draw(500, seed=3, classes=6)
    shorter = 0
    for mass in np.linspace(0.3, 0.999, 25):
        thresholds = np.full(6, mass)
        low, high = intervals(nonconformity_scores(probabilities), thresholds)
        for row, growing in zip(probabilities.tolist(), high - low, strict=True):
            first, last = interval_by_a_loop(row, mass)
            assert last - first <= growing
            shorter += last - first < growing
        low, high = intervals(shortest_scores(probabilities), thresholds)
        for row, ends in zip(probabilities.tolist(), zip(low, high, strict=True), strict=True):
            first, last = interval_by_a_loop(row, mass)
            assert last - first >= ends[1] - ends[0]
    assert shorter > 100


def test_a_case_of_two_peaks_worked_by_hand() -> None:
    scores = shortest_scores(np.array([[0.35, 0.05, 0.1, 0.25, 0.25]]))
    # The shortest intervals: 0 up to 0.35, 3 to 4 up to 0.5, 2 to 4 up to 0.6, 0 to 3 up to 0.75.
    np.testing.assert_allclose(scores, [[0.6, 0.6, 0.5, 0.35, 0.75]])
    for mass, ends in ((0.4, (3, 3)), (0.55, (2, 3)), (0.62, (0, 3)), (0.8, (0, 4))):
        low, high = intervals(scores, np.full(5, mass))
        assert (low[0], high[0]) == ends
    # Below, no class is in all intervals: the interval has the lowest score.
    low, high = intervals(scores, np.full(5, 0.1))
    assert (low[0], high[0]) == (3, 3)


def test_a_case_worked_by_hand() -> None:
    scores = nonconformity_scores(np.array([[0.1, 0.5, 0.15, 0.25]]))
    np.testing.assert_allclose(scores, [[0.9, 0.0, 0.5, 0.65]])
    for threshold, ends in ((0.0, [1, 1]), (0.6, [1, 2]), (math.inf, [0, 3])):
        assert [int(end[0]) for end in intervals(scores, np.full(4, threshold))] == ends


ROWS, CLASSES = 100, 4


def draws_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Many draws of calibration rows and one new row: labels, and distributions.

    The last label is rare, and the model gives it too little probability.
    """
    rng = np.random.default_rng(7)
    true = rng.dirichlet([0.7, 0.7, 0.7, 0.3], size=count * (ROWS + 1))
    labels = (true.cumsum(axis=1) > rng.random((len(true), 1))).argmax(axis=1)
    claimed = true**2 * [1, 1, 1, 0.2] + 0.01
    return labels.reshape(count, -1), claimed / claimed.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("method", ["adaptive", "shortest"])
@pytest.mark.parametrize("by", ["none", "label"])
def test_the_coverage_of_exchangeable_rows_is_as_promised(method: Interval, by: CoverageBy) -> None:
    """Over all rows, and for each label if that was asked for."""
    count, coverage = 1500, 0.8
    labels, probabilities = draws_of(count)
    scores = NONCONFORMITY[method](probabilities).reshape(count, -1, CLASSES)
    rule = IntervalRule(coverage, by, method)
    truths, hits = labels[:, -1], np.zeros(count, bool)
    for number in range(count):
        held = labels[number, :-1]
        own = scores[number, np.arange(ROWS), held]
        of_classes = [sorted(own[held == k].tolist()) for k in range(CLASSES)]
        low, high = intervals(scores[number, -1:], rule.thresholds({method: of_classes}))
        hits[number] = low[0] <= truths[number] <= high[0]
    groups = [truths >= 0, *(truths == k for k in range(CLASSES))]
    p_values = [
        stats.binomtest(int(hits[group].sum()), int(group.sum()), coverage, "less").pvalue
        for group in groups
    ]
    assert p_values[0] > 0.01
    if by == "label":
        assert min(p_values) > 0.01
    else:  # too few rows of the rare label, which this test would notice
        assert min(p_values) < 0.001


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose rows are the distributions themselves."""

    classes_ = np.arange(5)

    def fit(self, rows: np.ndarray, labels: np.ndarray) -> "Given":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return rows.argmax(axis=1)


@pytest.mark.filterwarnings("ignore:WARNING. your conformalization dataset has less labels")
def test_the_thresholds_of_labels_are_those_of_mapie() -> None:
    """MAPIE's sets, calibrated on the rows of one label, have it where our threshold lets it in."""
    labels, probabilities = draw(400, seed=5)
    fresh = draw(200, seed=6)[1]
    scores = (1 - probabilities)[np.arange(400), labels]  # of MAPIE's method `lac`
    of_classes = [sorted(scores[labels == k].tolist()) for k in range(5)]
    thresholds = IntervalRule(0.8, "label").thresholds({"adaptive": of_classes})
    for k, threshold in enumerate(thresholds):
        rows = labels == k
        mapie = SplitConformalClassifier(Given(), 0.8, "lac", prefit=True)
        mapie.conformalize(probabilities[rows], labels[rows])
        sets = mapie.predict_set(fresh)[1][:, k, 0]
        np.testing.assert_array_equal(sets, 1 - fresh[:, k] <= threshold)
        assert 0 < sets.mean() < 1


def test_an_interval_by_label_has_no_gap_and_is_never_empty() -> None:
    _, probabilities = draw(100, seed=9)
    rng = np.random.default_rng(0)
    for scores in (shortest_scores(probabilities), nonconformity_scores(probabilities)):
        for _ in range(10):
            thresholds = rng.random(5)
            low, high = intervals(scores, thresholds)
            for row, (first, last) in enumerate(zip(low, high, strict=True)):
                inside = [k for k in range(5) if scores[row, k] <= thresholds[k]]
                if not inside:
                    inside = [k for k in range(5) if scores[row, k] == scores[row].min()]
                assert (first, last) == (min(inside), max(inside))


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_intervals_have_the_promised_coverage(coverage: float) -> None:
    draws, hits, rule = 400, 0, IntervalRule(coverage)
    for seed in range(draws):
        labels, probabilities = draw(101, seed)
        scores = calibration_scores(labels[:100], probabilities[:100])
        low, high = rule.intervals(probabilities[100:], scores)
        hits += int(low[0] <= labels[100] <= high[0])
    # The expected coverage is between `coverage` and `coverage` + 1/101.
    assert stats.binomtest(hits, draws, coverage, alternative="less").pvalue > 0.01
    assert stats.binomtest(hits, draws, coverage + 1 / 101, alternative="greater").pvalue > 0.01


def test_with_too_few_rows_the_threshold_is_infinite() -> None:
    labels, probabilities = draw(5, seed=0)
    scores = calibration_scores(labels, probabilities)
    assert (IntervalRule(0.9).thresholds(scores) == math.inf).all()
    labels, probabilities = draw(40, seed=0)
    labels[labels == 3] = 0
    thresholds = IntervalRule(0.5, "label").thresholds(calibration_scores(labels, probabilities))
    assert np.isinf(thresholds).tolist() == [False, False, False, True, False]
