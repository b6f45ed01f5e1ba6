"""The reliability table: scikit-learn's curve, and the gaps that the ECE adds up."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

from ordinal.metrics import expected_calibration_error
from ordinal.plots import reliability


@pytest.fixture(params=range(3))
def drawn(request: pytest.FixtureRequest) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and the distributions of two models of them, in float32; some are quite sure."""
    rng = np.random.default_rng(request.param)
    labels = rng.integers(5, size=400)
    probabilities = rng.dirichlet(np.ones(5), size=400)
    probabilities[np.arange(400), labels] += rng.exponential(size=400)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    sharper = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    given = {"before": sharper, "after": probabilities}
    return labels, {which: rows.astype(np.float32) for which, rows in given.items()}


def test_the_reliability_table_is_scikit_learns_curve(
    drawn: tuple[np.ndarray, dict[str, np.ndarray]],
) -> None:
    labels, distributions = drawn
    table = reliability(labels, distributions)
    assert table["calibration"].unique().tolist() == ["before", "after"]
    for which, probabilities in distributions.items():
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
        share, mean = calibration_curve(right, confidence, n_bins=15, strategy="uniform")
        rows = np.histogram(confidence, bins=15, range=(0, 1))[0]
        ours = table[table["calibration"] == which]
        np.testing.assert_allclose(ours["accuracy"], share, atol=1e-6)
        np.testing.assert_allclose(ours["confidence"], mean, atol=1e-6)
        assert ours["rows"].tolist() == rows[rows > 0].tolist()
        assert (rows == 0).any()


def test_the_mean_gap_of_the_reliability_table_is_the_ece(
    drawn: tuple[np.ndarray, dict[str, np.ndarray]],
) -> None:
    labels, distributions = drawn
    table = reliability(labels, distributions)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    for which, probabilities in distributions.items():
        ours = table["calibration"] == which
        mean = np.average(gaps[ours], weights=table["rows"][ours])
        assert mean == pytest.approx(expected_calibration_error(labels, probabilities), abs=2e-6)


def test_a_bin_holds_its_right_edge_and_a_sure_row_is_in_the_last() -> None:
    # Of 15 bins the 9th is (8/15, 9/15], the 15th (14/15, 1].
    probabilities = np.array([[0.6, 0.4], [0.55, 0.45], [0.61, 0.39], [1.0, 0.0]])
    table = reliability(np.array([0, 1, 0, 1]), {"now": probabilities})
    expected = pd.DataFrame(
        {
            "confidence": [0.575, 0.61, 1.0],
            "accuracy": [0.5, 1.0, 0.0],
            "rows": [2, 1, 1],
            "calibration": "now",
        }
    )
    pd.testing.assert_frame_equal(table, expected)
