"""The tests for drift: oracles, and the rates of false and of right alarms."""

import numpy as np
import pytest
from scipy import stats

from ordinal.evaluation.drift import (
    Sample,
    changes,
    conformal_p_values,
    coverage_change,
    label_change,
    log_martingale,
    mean_change,
    order_change,
)

RESAMPLES = 9_999


def draw(rng: np.random.Generator, rows: int, shift: float = 0.0, error: float = 0.4) -> Sample:
    """Rows as a model with five labels sees them; `shift` and `error` change the source."""
    predicted = rng.binomial(4, 0.4 + shift, rows)
    errors = rng.binomial(2, error, rows)
    return Sample(
        predicted=predicted,
        widths=1 + rng.binomial(2, 0.4 + shift, rows),
        lengths=rng.poisson(20 + 50 * shift, rows),
        unknown=(rng.random(rows) < 0.05 + shift) * 0.25,
        errors=errors,
        covered=(errors < 2).astype(np.int64),
        scores=(errors + rng.random(rows)) * (rng.random(rows) < 0.5),
    )


@pytest.mark.parametrize("shift", [0, 0.1])
def test_the_means_are_compared_as_scipy_does_by_permuting_rows(shift: float) -> None:
    rng = np.random.default_rng(1)
    before, now = rng.binomial(4, 0.4, 60), rng.binomial(4, 0.4 + shift, 40)
    change = mean_change("mae", before, now, RESAMPLES)
    oracle = stats.permutation_test(
        (now, before), lambda x, y: x.mean() - y.mean(), n_resamples=RESAMPLES, rng=rng
    )
    assert change.p_value == pytest.approx(oracle.pvalue, abs=0.025)
    together = np.concatenate([before, now])
    assert change.effect == pytest.approx((now.mean() - before.mean()) / together.std())
    assert (change.before, change.now) == (before.mean(), now.mean())


def test_a_rare_value_has_the_exact_p_value() -> None:
    """A normal approximation would be wrong here: it puts this event at 8 standard errors."""
    before, now = np.zeros(750), np.array([1.0, 1.0] + [0.0] * 28)
    exact = stats.fisher_exact([[2, 28], [0, 750]]).pvalue
    assert exact == pytest.approx(0.0014, abs=1e-4)
    assert mean_change("unknown", before, now, 99_999).p_value == pytest.approx(exact, abs=4e-4)


def test_equal_values_are_no_change() -> None:
    same = mean_change("unknown", np.zeros(20), np.zeros(30), RESAMPLES)
    assert (same.p_value, same.effect) == (1, 0)
    one = label_change(np.full(20, 2), np.full(30, 2), 5, RESAMPLES)
    assert (one.p_value, one.effect, one.before, one.now) == (1, 0, one.now, one.before)


def test_the_shares_of_labels_are_compared_by_chi_squared() -> None:
    rng = np.random.default_rng(2)
    before, now = rng.binomial(4, 0.4, 400), rng.binomial(4, 0.45, 300)
    change = label_change(before, now, 6, RESAMPLES)  # one label never occurs
    counts = [[(rows == label).sum() for label in range(5)] for rows in (now, before)]
    oracle = stats.chi2_contingency(counts).pvalue
    assert 0.001 < oracle < 0.5
    assert change.p_value == pytest.approx(oracle, rel=0.2)
    shares = np.array(counts) / [[300], [400]]
    moved = sum(max(0.0, one - other) for one, other in shares.T)
    assert change.effect == pytest.approx(moved)
    most = max(range(5), key=lambda label: abs(shares[0, label] - shares[1, label]))
    assert (change.label, change.before, change.now) == (most, shares[1, most], shares[0, most])


def test_the_coverage_is_tested_as_order_statistics_predict() -> None:
    """`covered` or fewer rows are covered if, of the first rank + covered of all scores in order,
    at least rank are of the calibration."""
    calibrated, rows, rank = 99, 200, 90
    for covered in (150, 170, 180, 200):
        change = coverage_change(np.arange(rows) < covered, 0.9, calibrated)
        oracle = stats.hypergeom.sf(rank - 1, calibrated + rows, calibrated, rank + covered)
        assert change.p_value == pytest.approx(oracle)
        assert change.effect == pytest.approx((covered / rows - 0.9) / 0.3)
    assert coverage_change(np.ones(50), 0.99, 50).p_value == 1  # each interval has every label


def test_the_conformal_p_values_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    before = rng.integers(0, 6, 50).astype(np.float64)
    now = rng.integers(0, 6, 3000).astype(np.float64)  # several blocks, many ties
    parts = np.random.default_rng(0).random(len(now))
    past, expected = list(before), []
    for score, part in zip(now, parts, strict=True):
        past.append(score)
        higher = sum(other > score for other in past)
        expected.append((higher + part * past.count(score)) / len(past))
    assert conformal_p_values(before, now) == pytest.approx(expected)


def test_the_martingale_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    before, now = rng.random(50), rng.random(200) ** 0.5
    capital, expected = {-1: 1 / 3, 0: 1 / 3, 1: 1 / 3}, []
    for p_value in conformal_p_values(before, now):
        total = sum(capital.values())
        capital = {
            bet: (0.99 * share + 0.01 * total / 3) * (1 + bet * (p_value - 0.5))
            for bet, share in capital.items()
        }
        expected.append(sum(capital.values()))
    assert np.exp(log_martingale(conformal_p_values(before, now))) == pytest.approx(expected)
    change = order_change(before, now)
    assert change.p_value == pytest.approx(1 / max(expected))
    assert change.effect == pytest.approx((change.now - 0.5) / np.sqrt(1 / 12))


def alarms(samples: int, rows: int, alpha: float, **change: float) -> int:
    """Return in how many of random pairs of samples a measure has changed significantly."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(samples):
        before, now = draw(rng, 40), draw(rng, rows, **change)
        # Calibrated on rows of its own, as `covered` is here.
        target = 0.84
        tested = changes(before, now, 5, target, 10_000, alpha)
        found += min(one.p_holm for one in tested) <= alpha
    return found


def test_false_alarms_have_the_stated_rate() -> None:
    most = stats.binom.ppf(0.999, 1000, 0.2)
    assert 40 < alarms(1000, 30, 0.2) <= most


@pytest.mark.parametrize("change", [{"shift": 0.3}, {"error": 0.8}])
def test_obvious_changes_raise_an_alarm(change: dict[str, float]) -> None:
    assert alarms(20, 60, 0.01, **change) == 20


def test_the_intervals_of_exchangeable_rows_pass_the_test_of_coverage() -> None:
    """Draw other calibration rows, and so another threshold, for each sample."""
    rng = np.random.default_rng(6)
    thresholds = np.sort(rng.random((2000, 39)))[:, 35]  # of 40 · 0.9
    covered = rng.random((2000, 100)) <= thresholds[:, None]
    p_values = np.array([coverage_change(rows, 0.9, 39).p_value for rows in covered])
    for level in (0.01, 0.05, 0.2):
        low, high = stats.binom.ppf([0.0001, 0.9999], 2000, level)
        assert low * 0.5 <= (p_values <= level).sum() <= high


def test_a_change_in_time_raises_an_alarm_only_in_that_order() -> None:
    rng = np.random.default_rng(7)
    before = rng.random(200)
    late = np.concatenate([rng.random(300), 0.7 + 0.3 * rng.random(100)])
    assert order_change(before, late).p_value < 1e-4
    assert order_change(before, rng.random(400)).p_value > 0.05


def test_the_same_rows_have_the_same_p_values() -> None:
    rng = np.random.default_rng(8)
    before, now = draw(rng, 30), draw(rng, 30)
    assert changes(before, now, 5, 0.9, 30, 0.01) == changes(before, now, 5, 0.9, 30, 0.01)
