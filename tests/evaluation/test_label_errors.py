"""Scores of suspicious labels against plain loops, and the share of wrong labels in simulations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.types import Labels, Probabilities
from ordinal.distributions.decoding import decode
from ordinal.evaluation.label_errors import SCORES, wrong_share


def rps(label: int, row: list[float]) -> float:
    last = len(row) - 1
    return sum((sum(row[: k + 1]) - (label <= k)) ** 2 for k in range(last)) / last


def plain(name: str, label: int, row: list[float]) -> float:
    """The score of one label, written as its definition says."""
    classes = range(len(row))
    others = [row[k] for k in classes if k != label]
    return {
        "rps": lambda: rps(label, row),
        "excess_rps": lambda: rps(label, row) - sum(row[k] * rps(k, row) for k in classes),
        "expected_error": lambda: sum(row[k] * abs(label - k) for k in classes),
        "tail": lambda: 1 - min(sum(row[: label + 1]), sum(row[label:])),
        "self_confidence": lambda: 1 - row[label],
        # cleanlab 2.9: normalized margin = (p_label − max of the others + 1) / 2, low is bad.
        "normalized_margin": lambda: 1 - (row[label] - max(others) + 1) / 2,
    }[name]()


@pytest.mark.parametrize("name", SCORES)
@given(st.integers(2, 7), st.integers(0, 2**32 - 1))
def test_a_score_is_that_of_its_definition(name: str, classes: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    probabilities = draw.dirichlet(np.full(classes, 0.5), 20)
    labels = draw.integers(classes, size=20)
    before = probabilities.copy()
    expected = [
        plain(name, label, row)
        for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True)
    ]
    np.testing.assert_allclose(SCORES[name](labels, probabilities), expected, atol=1e-12)
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize("name", [name for name in SCORES if name not in ("excess_rps",)])
def test_a_label_that_is_further_away_never_has_a_lower_score(name: str) -> None:
    distribution = np.array([[0.85, 0.1, 0.03, 0.015, 0.005]] * 5)
    assert (np.diff(SCORES[name](np.arange(5), distribution)) >= 0).all()


def simulated(
    rows: int, wrong: float, seed: int, sure: float = 12.0, hard_only: bool = False
) -> tuple[Labels, Labels, Probabilities]:
    """Labels, suggested labels and distributions of a model that is calibrated on the true labels.

    A label is wrong, by one, with probability `wrong`; with `hard_only`, only if the model is
    unsure of it. The higher `sure` is, the more rows are clear to the model.
    """
    draw = np.random.default_rng(seed)
    classes = np.arange(5)
    center = draw.uniform(-0.5, 4.5, rows)
    width = draw.exponential(1, rows) * sure + 0.3
    logits = -width[:, None] * (classes - center[:, None]) ** 2
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    true = (probabilities.cumsum(axis=1) < draw.random(rows)[:, None]).sum(axis=1).clip(0, 4)
    moves = draw.random(rows) < wrong
    if hard_only:
        moves &= probabilities.max(axis=1) < 0.9
    step = np.where(true == 0, 1, np.where(true == 4, -1, draw.choice([-1, 1], rows)))
    return np.where(moves, true + step, true), decode(probabilities), probabilities


@pytest.mark.parametrize("wrong", [0.0, 0.03, 0.1, 0.3])
def test_the_interval_contains_a_known_share_in_95_of_100_simulations(wrong: float) -> None:
    shares = [wrong_share(*simulated(2000, wrong, seed)) for seed in range(200)]
    covered = np.mean([share.low <= wrong <= share.high for share in shares])
    assert covered >= 0.93
    assert np.mean([share.estimate for share in shares]) == pytest.approx(wrong, abs=0.005)
    assert {share.rows for share in shares} == {200}


def test_the_estimate_is_too_high_if_the_model_is_never_sure() -> None:
    assert wrong_share(*simulated(5000, 0.1, 1, sure=0.3)).low > 0.1


def test_the_estimate_is_too_low_if_wrong_labels_are_those_of_hard_texts() -> None:
    labels, suggested, probabilities = simulated(5000, 0.5, 1, hard_only=True)
    assert wrong_share(labels, suggested, probabilities).high < 0.05


def test_few_rows_have_a_wide_interval_even_if_all_labels_agree() -> None:
    labels = np.zeros(20, np.int64)
    share = wrong_share(labels, labels, np.full((20, 2), 0.5))
    assert (share.rows, share.estimate, share.low) == (2, 0, 0)
    assert share.high > 0.8
