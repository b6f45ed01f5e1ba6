"""Calibration: tempering is softmax(logits / T), and the T found is the one that was asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from torch.nn import functional

from ordinal.distributions.calibration import HOTTEST, apply_temperature, calibrate, fit_temperature
from ordinal.distributions.conformal import nonconformity_scores
from ordinal.evaluation.metrics import expected_calibration_error


def draw(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax (by the Gumbel trick)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, 5))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def temperature_by_lbfgs(logits: np.ndarray, labels: np.ndarray) -> float:
    inverse = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([inverse], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(torch.tensor(logits) * inverse, torch.tensor(labels))
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    return 1 / inverse.item()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_tempering_a_softmax_divides_its_logits(temperature: float) -> None:
    logits, _ = draw(200)
    tempered = apply_temperature(softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(tempered, softmax(logits / temperature, axis=1))


weights = st.integers(2, 10).flatmap(
    lambda classes: arrays(np.int64, (4, classes), elements=st.integers(0, 1000)).filter(
        lambda drawn: bool((drawn.sum(axis=1) > 0).all())
    )
)


@given(weights, st.floats(1 / HOTTEST, HOTTEST), st.sampled_from([np.float32, np.float64]))
def test_tempered_distributions_are_distributions_of_the_same_order(
    drawn: np.ndarray, temperature: float, dtype: type
) -> None:
    probabilities = (drawn / drawn.sum(axis=1, keepdims=True)).astype(dtype)
    tempered = apply_temperature(probabilities, temperature)
    assert tempered.dtype == dtype
    assert (tempered >= 0).all()
    np.testing.assert_allclose(tempered.sum(axis=1), 1, atol=1e-6)
    rising = np.take_along_axis(tempered, probabilities.argsort(axis=1), axis=1)
    assert (np.diff(rising, axis=1) >= -1e-6).all()
    np.testing.assert_allclose(apply_temperature(probabilities, 1.0), probabilities, atol=2e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    logits, labels = draw(20_000)
    true = softmax(logits, axis=1)
    claimed = softmax(logits * temperature, axis=1).astype(np.float32)
    # By Fisher's information the relative standard error is this (0.8 %); four of them.
    spread = (true * logits**2).sum(axis=1) - (true * logits).sum(axis=1) ** 2
    error = 1 / np.sqrt(spread.sum())
    assert fit_temperature(labels, claimed) == pytest.approx(temperature, rel=4 * error)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("claimed", [0.4, 1.0, 2.0])
def test_the_temperature_equals_lbfgs_on_the_logits(claimed: float, seed: int) -> None:
    logits, labels = draw(300, seed)
    ours = fit_temperature(labels, softmax(logits * claimed, axis=1))
    assert ours == pytest.approx(temperature_by_lbfgs(logits * claimed, labels), rel=1e-3)


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        ([0, 1, 2], np.eye(3)),
        ([1, 2, 0], np.eye(3)),
        ([1], [[0.2, 0.5, 0.3]]),
        ([0], [[0.2, 0.5, 0.3]]),
        ([1, 1, 1], [[0.2, 0.5, 0.3], [0.7, 0.1, 0.2], [0.3, 0.4, 0.3]]),
        ([0, 2], np.full((2, 3), 1 / 3)),
    ],
    ids=["sure and right", "sure and wrong", "one row", "one wrong row", "one class", "no idea"],
)
def test_where_there_is_little_to_learn_the_temperature_is_within_its_bounds(
    labels: list[int], probabilities: list[list[float]]
) -> None:
    given = np.array(probabilities, np.float32)
    temperature = fit_temperature(np.array(labels), given)
    assert 1 / HOTTEST <= temperature <= HOTTEST
    assert np.isfinite(apply_temperature(given, temperature)).all()


def test_an_overconfident_model_is_better_calibrated_on_rows_not_seen() -> None:
    logits, labels = draw(1000)
    temperature = fit_temperature(labels, softmax(logits * 3, axis=1))
    fresh, truth = draw(1000, seed=1)
    before = softmax(fresh * 3, axis=1)
    after = apply_temperature(before, temperature)
    assert expected_calibration_error(truth, after) < expected_calibration_error(truth, before) / 4


def test_the_scores_are_those_of_the_tempered_distributions_sorted() -> None:
    logits, labels = draw(50)
    probabilities = softmax(logits * 3, axis=1)
    calibration = calibrate(labels, probabilities)
    assert calibration.temperature == fit_temperature(labels, probabilities)
    mass = nonconformity_scores(apply_temperature(probabilities, calibration.temperature))
    expected = sorted(float(mass[row, label]) for row, label in enumerate(labels))
    assert calibration.scores == expected
