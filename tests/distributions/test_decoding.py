"""Decoding: each rule minimises its own expected error, and ties follow the documentation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ordinal.common.choices import Decoding
from ordinal.distributions.decoding import decode

weights = st.integers(2, 10).flatmap(
    lambda classes: arrays(np.int64, (4, classes), elements=st.integers(0, 1000)).filter(
        lambda drawn: bool((drawn.sum(axis=1) > 0).all())
    )
)


def expected_error(probabilities: np.ndarray, power: int) -> np.ndarray:
    """Return the expected |error| ** power of each answer, shape (rows, K)."""
    grid = np.arange(probabilities.shape[1])
    return probabilities @ np.abs(grid[:, None] - grid).astype(float) ** power


@given(weights)
def test_median_has_the_least_expected_absolute_error(drawn: np.ndarray) -> None:
    probabilities = drawn / drawn.sum(axis=1, keepdims=True)
    errors = expected_error(probabilities, 1)
    chosen = np.take_along_axis(errors, decode(probabilities, "median")[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen, errors.min(axis=1), atol=1e-9)


@given(weights)
def test_mean_has_the_least_expected_squared_error(drawn: np.ndarray) -> None:
    probabilities = drawn / drawn.sum(axis=1, keepdims=True)
    errors = expected_error(probabilities, 2)
    chosen = np.take_along_axis(errors, decode(probabilities, "mean")[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen, errors.min(axis=1), atol=1e-9)


@given(weights)
def test_mode_is_the_most_probable_class(drawn: np.ndarray) -> None:
    probabilities = drawn / drawn.sum(axis=1, keepdims=True)
    chosen = np.take_along_axis(probabilities, decode(probabilities, "mode")[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(chosen, probabilities.max(axis=1))


@pytest.mark.parametrize(
    ("rule", "probabilities", "label"),
    [
        ("median", [0.5, 0.5, 0.0], 0),  # the lowest class that reaches one half
        ("median", [0.25, 0.25, 0.5], 1),
        ("mean", [0.5, 0.5, 0.0], 1),  # a tie goes up
        ("mode", [0.4, 0.2, 0.4], 0),  # a tie goes to the lowest
    ],
)
def test_ties_follow_the_documentation(
    rule: Decoding, probabilities: list[float], label: int
) -> None:
    assert decode(np.array([probabilities]), rule).tolist() == [label]


def test_float32_distributions_that_sum_to_a_little_less_than_one_are_decoded() -> None:
    probabilities = np.array([[0.0, 0.0, 0.9999999]], np.float32)
    assert decode(probabilities, "median").tolist() == [2]
