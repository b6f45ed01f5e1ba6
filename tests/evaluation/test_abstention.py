"""The risk-coverage curve and the table by width against plain loops, and their invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.evaluation.abstention import abstention_by_width, risk_curve
from ordinal.evaluation.metrics import expected_error
from ordinal.evaluation.plot_tables import RISK_POINTS, risk_coverage

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=30)


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, decoded labels, and distributions in float32."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(5), size=rows).astype(np.float32)
    return rng.integers(5, size=rows), probabilities.argmax(axis=1), probabilities


def test_expected_errors_are_those_of_a_plain_loop() -> None:
    _, predicted, probabilities = drawn(20)
    expected = [
        sum(float(p) * abs(k - label) for k, p in enumerate(row))
        for row, label in zip(probabilities, predicted, strict=True)
    ]
    assert expected_error(predicted, probabilities) == pytest.approx(expected, rel=1e-6)


@given(ROWS)
def test_the_curve_is_the_mean_over_all_orders_of_ties(rows: list[tuple[int, int]]) -> None:
    """The expectation of the mean error of k rows: whole groups, and a share of the last one."""
    errors, uncertainty = (np.array(column, float) for column in zip(*rows, strict=True))
    curve = risk_curve(errors, uncertainty)
    for kept in range(1, len(rows) + 1):
        total, left = 0.0, kept
        for level in sorted(set(uncertainty)):
            group = [e for e, u in zip(errors, uncertainty, strict=True) if u == level]
            taken = min(left, len(group))
            total += taken * sum(group) / len(group)
            left -= taken
        assert curve[kept - 1] == pytest.approx(total / kept)


@given(ROWS, st.randoms())
def test_invariants_of_the_curve(rows: list[tuple[int, int]], draw: object) -> None:
    errors, uncertainty = (np.array(column, float) for column in zip(*rows, strict=True))
    curve = risk_curve(errors, uncertainty)
    assert curve[-1] == pytest.approx(errors.mean())
    assert errors.min() - 1e-9 <= curve.min() <= curve.max() <= errors.max() + 1e-9
    order = list(range(len(rows)))
    draw.shuffle(order)  # type: ignore[attr-defined]
    assert risk_curve(errors[order], uncertainty[order]) == pytest.approx(curve)
    assert risk_curve(errors, 3 * uncertainty + 1) == pytest.approx(curve)
    assert risk_curve(errors, np.zeros(len(rows))) == pytest.approx(errors.mean())
    best, worst = risk_curve(errors, errors), risk_curve(errors, -errors)
    assert (best <= curve + 1e-9).all()
    assert (curve <= worst + 1e-9).all()
    assert (np.diff(best) >= -1e-9).all()


@pytest.mark.parametrize("rows", [1, 7, 100, 250, 1234])
def test_the_table_has_points_of_the_curve_up_to_all_rows(rows: int) -> None:
    labels, predicted, probabilities = drawn(rows)
    table = risk_coverage(labels, predicted, probabilities)
    assert len(table) == min(rows, RISK_POINTS)
    assert table["kept"].is_monotonic_increasing
    errors = np.abs(labels - predicted).astype(float)
    assert table.iloc[-1].tolist() == [1, pytest.approx(errors.mean(), abs=1e-6)]
    order = np.argsort(expected_error(predicted, probabilities))
    for kept, mae in table.itertuples(index=False):
        first = order[: round(kept * rows)]
        assert mae == pytest.approx(errors[first].mean(), abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=30))
def test_the_table_by_width_is_that_of_a_plain_loop(rows: list[tuple[int, int]]) -> None:
    errors, widths = (np.array(column) for column in zip(*rows, strict=True))
    table = abstention_by_width(errors.astype(float), widths)
    assert table["width"].tolist() == sorted({width for _, width in rows})
    for width, kept, mae, accuracy in table.itertuples(index=False):
        left = [error for error, own in rows if own <= width]
        assert kept == pytest.approx(len(left) / len(rows))
        assert mae == pytest.approx(sum(left) / len(left))
        assert accuracy == pytest.approx(left.count(0) / len(left))
    assert table["kept"].iloc[-1] == 1


def test_the_table_by_width_of_a_small_example() -> None:
    table = abstention_by_width(np.array([0.0, 1, 3, 1]), np.array([2, 3, 3, 2]))
    assert table.to_numpy().tolist() == [[2, 0.5, 0.5, 0.5], [3, 1, 1.25, 0.25]]
