"""Temperature scaling against the softmax of logits / T and against a fit by LBFGS."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from torch.nn import functional

from ordinal.distributions.calibration import (
    MAX_TEMPERATURE,
    apply_temperature,
    calibrate,
    fit_temperature,
)
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
def test_apply_temperature_divides_the_logits_of_a_softmax(temperature: float) -> None:
    logits, _ = draw(200)
    calibrated = apply_temperature(softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(calibrated, softmax(logits / temperature, axis=1))


weights = st.integers(2, 10).flatmap(
    lambda classes: arrays(np.int64, (4, classes), elements=st.integers(0, 1000)).filter(
        lambda drawn: bool((drawn.sum(axis=1) > 0).all())
    )
)


@given(
    weights,
    st.floats(1 / MAX_TEMPERATURE, MAX_TEMPERATURE),
    st.sampled_from([np.float32, np.float64]),
)
def test_apply_temperature_returns_distributions_and_keeps_the_order_of_the_classes(
    drawn: np.ndarray, temperature: float, dtype: type
) -> None:
    probabilities = (drawn / drawn.sum(axis=1, keepdims=True)).astype(dtype)
    calibrated = apply_temperature(probabilities, temperature)
    assert calibrated.dtype == dtype
    assert (calibrated >= 0).all()
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-6)
    rising = np.take_along_axis(calibrated, probabilities.argsort(axis=1), axis=1)
    assert (np.diff(rising, axis=1) >= -1e-6).all()
    np.testing.assert_allclose(apply_temperature(probabilities, 1.0), probabilities, atol=2e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_fit_temperature_finds_a_known_temperature(temperature: float) -> None:
    logits, labels = draw(20_000)
    true = softmax(logits, axis=1)
    claimed = softmax(logits * temperature, axis=1).astype(np.float32)
    # Relative standard error from the Fisher information (0.8 %); the tolerance is four of them.
    spread = (true * logits**2).sum(axis=1) - (true * logits).sum(axis=1) ** 2
    error = 1 / np.sqrt(spread.sum())
    assert fit_temperature(labels, claimed) == pytest.approx(temperature, rel=4 * error)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("claimed", [0.4, 1.0, 2.0])
def test_fit_temperature_equals_lbfgs_on_the_logits(claimed: float, seed: int) -> None:
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
    ids=[
        "certain and right",
        "certain and wrong",
        "one row",
        "one wrong row",
        "one class",
        "uniform",
    ],
)
def test_the_temperature_stays_within_its_bounds(
    labels: list[int], probabilities: list[list[float]]
) -> None:
    given = np.array(probabilities, np.float32)
    temperature = fit_temperature(np.array(labels), given)
    assert 1 / MAX_TEMPERATURE <= temperature <= MAX_TEMPERATURE
    assert np.isfinite(apply_temperature(given, temperature)).all()


def test_calibration_of_an_overconfident_model_improves_on_new_rows() -> None:
    logits, labels = draw(1000)
    temperature = fit_temperature(labels, softmax(logits * 3, axis=1))
    fresh, truth = draw(1000, seed=1)
    before = softmax(fresh * 3, axis=1)
    after = apply_temperature(before, temperature)
    assert expected_calibration_error(truth, after) < expected_calibration_error(truth, before) / 4


def test_the_scores_are_sorted_and_of_the_calibrated_distributions() -> None:
    logits, labels = draw(50)
    probabilities = softmax(logits * 3, axis=1)
    calibration = calibrate(labels, probabilities)
    assert calibration.temperature == fit_temperature(labels, probabilities)
    scores = nonconformity_scores(apply_temperature(probabilities, calibration.temperature))
    expected = [
        sorted(float(scores[row, k]) for row, label in enumerate(labels) if label == k)
        for k in range(5)
    ]
    assert calibration.scores["adaptive"] == expected
    assert calibration.rows == 50
