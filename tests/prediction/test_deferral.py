"""Test the cascade of a fast and a precise form, and the calibration of its threshold."""

import itertools
import math
from dataclasses import asdict, replace
from typing import get_args

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE

from ordinal.common.choices import Decoding
from ordinal.common.types import Probabilities
from ordinal.distributions.calibration import Calibration
from ordinal.distributions.conformal import (
    calibration_scores,
    intervals,
    nonconformity_scores,
)
from ordinal.distributions.decoding import decode
from ordinal.model.inference import Network
from ordinal.prediction.deferral import (
    AGREEMENT,
    CONFIDENCE,
    Compute,
    Deferral,
    calibrate_deferral,
    cascade,
    deferral_threshold,
    label_margins,
)
from ordinal.prediction.predictor import Predictor
from ordinal.tokenization.tokens import Tokens
from tests.tiny import scores_of

RULES = get_args(Decoding)
COSTS: list[list[float]] = [
    [(3.0 if true > label else 1.0) * abs(true - label) for label in range(5)] for true in range(5)
]
FOUR = [row[:4] for row in COSTS[:4]]


def two_forms(rows: int, noise: float, seed: int = 0) -> tuple[Probabilities, Probabilities]:
    """Distributions of a precise form, and those of a fast form whose log odds are shifted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(rows, 5))
    shifted = logits + rng.normal(scale=noise, size=(rows, 5))
    precise, fast = (np.exp(one) / np.exp(one).sum(axis=1)[:, None] for one in (logits, shifted))
    return precise, fast


def plain_margin(row: list[float], label: int, rule: Decoding) -> float:
    """The margin of one label, from its definition."""
    if rule == "cost":
        expected = [sum(p * COSTS[true][k] for true, p in enumerate(row)) for k in range(len(row))]
        return min(cost for k, cost in enumerate(expected) if k != label) - expected[label]
    if rule == "mode":
        return row[label] - max(p for k, p in enumerate(row) if k != label)
    if rule == "mean":
        expected = sum(k * p for k, p in enumerate(row))
        return min(expected - (label - 0.5), (label + 0.5) - expected)
    return min(sum(row[: label + 1]), sum(row[label:])) - 0.5


@pytest.mark.parametrize("rule", RULES)
def test_margins_are_those_of_a_plain_loop(rule: Decoding) -> None:
    probabilities, _ = two_forms(50, 0)
    for label in range(5):
        found = label_margins(probabilities, np.full(50, label), rule, COSTS)
        expected = [plain_margin(row, label, rule) for row in probabilities.tolist()]
        assert found == pytest.approx(expected)
        assert ((found > 0) == (decode(probabilities, rule, COSTS) == label)).all()


def plain_threshold(fast: Probabilities, precise: Probabilities, rule: Decoding) -> float:
    """The threshold for many rows: the lowest that few enough different labels exceed."""
    labels, others = (decode(form, rule, COSTS).tolist() for form in (fast, precise))
    needed = [
        plain_margin(row, label, rule) if label != other else 0.0
        for row, label, other in zip(fast.tolist(), labels, others, strict=True)
    ]
    chance = 0.0  # that at most `number` of as many rows are in the share that has to agree
    for number, margin in enumerate(sorted(needed)):
        chance += float(scipy.stats.binom.pmf(number, len(needed), AGREEMENT))
        if chance >= CONFIDENCE:
            return margin
    raise AssertionError("too few rows")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rows", [2995, 4000])
def test_the_threshold_of_many_rows_is_that_of_a_plain_loop(rule: Decoding, rows: int) -> None:
    precise, fast = two_forms(rows, 0.1)
    labels = np.random.default_rng(1).integers(5, size=rows)
    found = calibrate_deferral(labels, fast, precise, rule, "model", COSTS)
    expected = plain_threshold(fast, precise, rule)
    assert expected > 0
    assert found.threshold == pytest.approx(expected, abs=1e-9)
    together = cascade(lambda _: fast.copy(), rows_of(precise), rule, found.threshold, COSTS)
    scores = calibration_scores(labels, together(numbered(rows)))
    assert found.scores == scores


def numbered(rows: int) -> Tokens:
    """Texts of one token, the number of the row."""
    return Tokens.of([[row] for row in range(rows)])


def rows_of(probabilities: Probabilities) -> Compute:
    """A form that returns the rows whose numbers are the first tokens."""
    return lambda tokens: probabilities[tokens.ids[tokens.offsets[:-1]]]


@pytest.mark.parametrize("count", [2, 10, 250, 2994])
def test_the_threshold_of_few_rows_is_the_limit_of_normal_changes(count: int) -> None:
    """Mean + factor · SD is above the quantile with the stated probability, by integration."""
    changes = np.linspace(-1, 1, count)  # none of them is above the limit
    threshold = deferral_threshold(np.ones(count) + changes, np.ones(count))
    factor = threshold / changes.std(ddof=1)
    quantile, freedom = scipy.stats.norm.ppf(AGREEMENT), count - 1
    deviation = scipy.stats.chi(freedom, scale=freedom**-0.5)

    def chance(sd: float) -> float:
        """Density of the SD, times the probability that the mean is high enough for it."""
        enough = scipy.stats.norm.cdf(count**0.5 * (factor * sd - quantile))
        return float(deviation.pdf(sd) * enough)

    low, high = deviation.ppf(1e-12), deviation.ppf(1 - 1e-12)
    reached = scipy.integrate.quad(chance, low, high, limit=500)[0]
    assert reached == pytest.approx(CONFIDENCE, abs=1e-6)


@pytest.mark.parametrize("largest", [50.0, -50.0])
def test_the_threshold_is_at_least_the_largest_change_of_few_rows(largest: float) -> None:
    assert deferral_threshold(np.array([0.0] * 99 + [largest]), np.zeros(100)) == 50


@pytest.mark.parametrize("count", [0, 1])
def test_without_enough_rows_every_text_is_deferred(count: int) -> None:
    assert deferral_threshold(np.zeros(count), np.zeros(count)) > 1e300


def test_enough_labels_agree_as_often_as_stated() -> None:
    """In 300 samples of many rows, the threshold keeps the promise in about 95 % or more."""
    precise, fast = two_forms(200_000, 0.1)
    labels = decode(fast)
    here, there = (label_margins(one, labels, "median") for one in (fast, precise))
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        rows = rng.integers(len(labels), size=4000)
        threshold = deferral_threshold(here[rows], there[rows])
        held += np.mean((here > threshold) & (there < 0)) <= 1 - AGREEMENT
    assert scipy.stats.binomtest(held, 300, CONFIDENCE, alternative="less").pvalue > 0.01
    assert held < 300


@pytest.mark.parametrize(("rule", "rows"), [*itertools.product(RULES, (250, 4000))])
def test_the_labels_agree_at_least_as_often_as_stated(rule: Decoding, rows: int) -> None:
    precise, fast = two_forms(rows, 0.1)
    labels = np.zeros(rows, np.int64)
    threshold = calibrate_deferral(labels, fast, precise, rule, "", COSTS).threshold
    for seed in (0, 1):  # the validation rows, and others
        count = rows if seed == 0 else 20_000
        precise, fast = two_forms(count, 0.1, seed)
        margins = label_margins(fast, decode(fast, rule, COSTS), rule, COSTS)
        kept = margins > threshold
        different = decode(fast, rule, COSTS) != decode(precise, rule, COSTS)
        assert different.mean() > 0.005
        assert (different & kept).mean() <= 1 - AGREEMENT
        assert 0.5 < kept.mean() < 1


distributions = st.lists(
    st.lists(st.floats(0.001, 1), min_size=4, max_size=4), min_size=1, max_size=12
)


@given(distributions, st.randoms(), st.sampled_from(RULES), st.floats(0, 0.5))
def test_the_labels_of_deferred_texts_are_those_of_the_precise_form(
    rows: list[list[float]], random: object, rule: Decoding, threshold: float
) -> None:
    """Exactly the texts with a small margin are computed again, and the others are as before."""
    fast_rows = np.array(rows) / np.sum(rows, axis=1)[:, None]
    precise_rows = fast_rows[:, ::-1]
    computed: list[int] = []

    def fast(tokens: Tokens) -> Probabilities:
        return fast_rows[tokens.ids[tokens.offsets[:-1]]].copy()

    def precise(tokens: Tokens) -> Probabilities:
        computed.extend(tokens.ids[tokens.offsets[:-1]].tolist())
        return precise_rows[tokens.ids[tokens.offsets[:-1]]]

    tokens = Tokens.of([[row] * (row % 3 + 1) for row in range(len(rows))])
    result = cascade(fast, precise, rule, threshold, FOUR)(tokens)
    labels = decode(fast_rows, rule, FOUR).tolist()
    unsure = [
        row
        for row, label in enumerate(labels)
        if label_margins(fast_rows[[row]], np.array([label]), rule, FOUR)[0] <= threshold
    ]
    assert computed == unsure
    for row in range(len(rows)):
        expected = precise_rows if row in unsure else fast_rows
        assert result[row].tolist() == expected[row].tolist()
        if row in unsure:
            assert decode(result, rule, FOUR)[row] == decode(precise_rows, rule, FOUR)[row]


def test_a_predictor_with_a_precise_form_uses_the_scores_of_both() -> None:
    precise_rows, fast_rows = two_forms(300, 0.1)
    labels = np.random.default_rng(2).integers(5, size=300)

    def network(rows: Probabilities) -> Network:
        return Network(5, 0, lambda ids, mask: rows[ids[:, 0]])

    def compute(tokens: Tokens) -> Probabilities:
        return precise_rows[tokens.ids[tokens.offsets[:-1]]]

    deferral = calibrate_deferral(labels, fast_rows, precise_rows, "median", "model")
    calibration = Calibration(1.0, scores_of([0.5] * 300, 5))
    tokenizer = Tokenizer(BPE())
    alone = Predictor(network(fast_rows), tokenizer, list("12345"), "median", calibration)
    alone = replace(alone, deferral=deferral)
    both = replace(alone, precise=compute)
    together = sorted(itertools.chain(*deferral.scores["adaptive"]))
    for predictor, threshold in ((alone, 0.5), (both, together[math.ceil(301 * 0.9) - 1])):
        expected = intervals(nonconformity_scores(fast_rows), np.full(5, threshold))
        np.testing.assert_array_equal(predictor.intervals(fast_rows), expected)
    tokens = Tokens.of([[row] for row in range(300)])
    assert alone.probabilities(tokens) == pytest.approx(fast_rows, abs=1e-6)
    expected = cascade(alone.probabilities, compute, "median", deferral.threshold)(tokens)
    assert both.probabilities(tokens).tolist() == expected.tolist()
    assert (decode(expected) == decode(precise_rows)).all()
    assert Deferral(**asdict(deferral)) == deferral
