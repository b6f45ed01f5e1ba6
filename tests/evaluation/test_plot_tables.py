"""The plot tables against scikit-learn's reliability curve and plain loops over the lengths."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

from ordinal.evaluation.metrics import expected_calibration_error
from ordinal.evaluation.plot_tables import mae_per_length, reliability


@pytest.fixture(params=range(3))
def drawn(request: pytest.FixtureRequest) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and the float32 distributions of two models; some are near certain."""
    rng = np.random.default_rng(request.param)
    labels = rng.integers(5, size=400)
    probabilities = rng.dirichlet(np.ones(5), size=400)
    probabilities[np.arange(400), labels] += rng.exponential(size=400)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    sharper = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    given = {"before": sharper, "after": probabilities}
    return labels, {which: rows.astype(np.float32) for which, rows in given.items()}


def test_the_reliability_table_equals_scikit_learns_curve(
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


def test_a_bin_includes_its_right_edge() -> None:
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


@pytest.mark.parametrize("rows", [3, 24, 500])
def test_every_row_is_in_the_bin_of_its_length(rows: int) -> None:
    rng = np.random.default_rng(rows)
    labels, predicted = rng.integers(5, size=(2, rows))
    lengths = rng.geometric(0.05, size=rows) + 2
    table = mae_per_length(labels, predicted, lengths)
    ends = [[int(end) for end in tokens.split(" to ")] for tokens in table["tokens"]]
    assert (ends[0][0], ends[-1][1]) == (lengths.min(), lengths.max())
    assert [low for low, _ in ends[1:]] == [high + 1 for _, high in ends[:-1]]
    for (low, high), count, mae in zip(ends, table["rows"], table["mae"], strict=True):
        inside = (lengths >= low) & (lengths <= high)
        assert inside.sum() == count
        assert np.abs(labels - predicted)[inside].mean() == pytest.approx(mae, abs=1e-6)


def test_bins_of_distinct_lengths_have_equal_numbers_of_rows() -> None:
    lengths = np.random.default_rng(0).permutation(np.arange(5, 105))
    table = mae_per_length(lengths % 3, lengths % 3, lengths)
    assert table["rows"].tolist() == [20] * 5
    assert table["tokens"].iloc[0] == "5 to 24"


@pytest.mark.parametrize(
    ("lengths", "bins"),
    [
        ([7, 7, 7], {"7 to 7": 3}),
        # Nine in ten rows have one length, so most quantiles are equal.
        ([4] * 18 + [9, 12], {"4 to 4": 18, "5 to 12": 2}),
        ([10, 3], {"3 to 3": 1, "4 to 10": 1}),
    ],
)
def test_reviews_of_equal_length_are_in_one_bin(lengths: list[int], bins: dict[str, int]) -> None:
    zeros = np.zeros(len(lengths), np.int64)
    table = mae_per_length(zeros, zeros, np.array(lengths))
    assert dict(zip(table["tokens"], table["rows"], strict=True)) == bins
