"""Decoding: each rule minimises its own expected error, and ties follow the documentation."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ordinal.common.choices import Decoding
from ordinal.distributions.decoding import decode, expected_costs

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


@st.composite
def weights_and_costs(draw: st.DrawFn) -> tuple[np.ndarray, list[list[float]]]:
    """Distributions, and costs with zeros on the diagonal."""
    drawn = draw(weights)
    classes = drawn.shape[1]
    costs = draw(arrays(np.int64, (classes, classes), elements=st.integers(0, 50)))
    np.fill_diagonal(costs, 0)
    return drawn / drawn.sum(axis=1, keepdims=True), costs.astype(float).tolist()


def decoded_by_a_loop(row: list[float], costs: list[list[float]]) -> int:
    """The label with the least expected cost, in exact arithmetic; the lowest of equal ones."""
    classes = range(len(row))
    expected = [
        sum(Fraction(row[true]) * Fraction(costs[true][label]) for true in classes)
        for label in classes
    ]
    return expected.index(min(expected))


@given(weights_and_costs())
def test_cost_is_that_of_a_loop(drawn: tuple[np.ndarray, list[list[float]]]) -> None:
    probabilities, costs = drawn
    for row, label in zip(
        probabilities.tolist(), decode(probabilities, "cost", costs).tolist(), strict=True
    ):
        expected = [sum(p * costs[true][k] for true, p in enumerate(row)) for k in range(len(row))]
        assert expected[label] == pytest.approx(expected[decoded_by_a_loop(row, costs)], abs=1e-9)
        # No lower label is as good, apart from rounding.
        assert all(expected[lower] > expected[label] + 1e-12 for lower in range(label))


@given(weights_and_costs())
def test_cost_never_expects_a_higher_cost_than_the_other_rules(
    drawn: tuple[np.ndarray, list[list[float]]],
) -> None:
    probabilities, costs = drawn
    expected, rows = expected_costs(probabilities, costs), np.arange(len(probabilities))
    least = expected[rows, decode(probabilities, "cost", costs)]
    for rule in ("median", "mean", "mode"):
        assert (least <= expected[rows, decode(probabilities, rule)] + 1e-9).all()


@given(weights)
def test_cost_is_the_median_of_distances_and_the_mode_of_equal_costs(drawn: np.ndarray) -> None:
    probabilities = drawn / drawn.sum(axis=1, keepdims=True)
    grid, rows = np.arange(drawn.shape[1]), np.arange(len(drawn))
    distance = np.abs(grid[:, None] - grid)
    for rule, costs in (("median", distance), ("mode", np.minimum(distance, 1))):
        matrix = costs.astype(float).tolist()
        expected = expected_costs(probabilities, matrix)
        np.testing.assert_allclose(
            expected[rows, decode(probabilities, "cost", matrix)],
            expected[rows, decode(probabilities, rule)],
            atol=1e-9,
        )


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ([0.5, 0.5], 1),  # to miss the higher one costs ten times as much
        ([0.9, 0.1], 1),
        ([0.95, 0.05], 0),
        ([10 / 11, 1 / 11], 0),  # a tie goes to the lowest
    ],
)
def test_a_costly_error_is_avoided(row: list[float], label: int) -> None:
    assert decode(np.array([row]), "cost", [[0, 1], [10, 0]]).tolist() == [label]


def test_ties_of_costs_do_not_depend_on_rounding() -> None:
    """The middle classes are equally good, but their sums are rounded differently."""
    distance = np.abs(np.arange(4)[:, None] - np.arange(4)).astype(float).tolist()
    for seed in range(50):
        outer, inner = np.random.default_rng(seed).dirichlet(np.ones(2)) / 2
        row = np.array([[outer, inner, inner, outer]])
        assert decode(row, "cost", distance).tolist() == [1]


def test_the_rule_cost_needs_costs() -> None:
    with pytest.raises(ValueError, match="needs the costs of errors"):
        decode(np.array([[0.5, 0.5]]), "cost")
