"""Tests of whether new rows differ from held-out rows of the data that a model was trained on.

The null hypothesis is that all rows are exchangeable: they come from the same source, in any order.
Each test holds its level in samples of any size, with ties. Holm's correction then bounds the
probability of a false alarm in any of the measures.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from ordinal.common.types import Floats, Labels, Rows
from ordinal.evaluation.significance import holm

MIN_ROWS = 10  # with fewer, a change of 1.3 standard deviations would be missed one time in five
SEED = 0  # of all random numbers, so that the same rows give the same p-values
TABLES_PER_BATCH = 1000  # random tables in memory at once
ROWS_PER_BLOCK = 1024  # rows that are ranked together
JUMP = 0.01  # share of the simple jumper's capital that is divided equally among its bets, per row
BETS = np.array([-1.0, 0.0, 1.0])


@dataclass(frozen=True)
class Sample:
    """The figures of some rows, in their order. Each array has one value per row."""

    predicted: Labels
    widths: Labels
    """Labels in the conformal interval."""
    lengths: Rows
    """Tokens that the model reads of the text."""
    unknown: Floats | None
    """Share of unknown tokens; None if the tokenizer knows every character."""
    errors: Labels
    """Absolute error in labels. This and the next two arrays have the rows with a label only."""
    covered: Labels
    """1 if the label is in the interval, else 0."""
    scores: Floats
    """Nonconformity score of the label, which is higher for a more surprising label."""


@dataclass(frozen=True)
class Change:
    """The change of one measure."""

    measure: str
    """labels, width, tokens, unknown, mae, coverage or order."""
    before: float
    now: float
    effect: float
    """Size of the change; see `label_change`, `mean_change`, `coverage_change`, `order_change`."""
    p_value: float
    p_holm: float = math.nan
    """The p-value corrected for the number of measures."""
    label: int | None = None
    """For the predicted labels, the class with the largest change; its shares are the figures."""


def changes(
    before: Sample, now: Sample, classes: int, coverage: float, calibrated: int, alpha: float
) -> list[Change]:
    """Test each measure. With an alarm at `p_holm <= alpha`, the false alarm rate is at most alpha.

    Args:
        before: the held-out rows.
        now: the new rows, in the order of time.
        classes: K.
        coverage: target of the conformal intervals.
        calibrated: number of rows on which the intervals were calibrated.
        alpha: the false alarm rate, which determines the number of random tables.
    """
    resamples = math.ceil(100 / alpha) - 1
    found = [
        label_change(before.predicted, now.predicted, classes, resamples),
        mean_change("width", before.widths, now.widths, resamples),
        mean_change("tokens", before.lengths, now.lengths, resamples),
    ]
    if before.unknown is not None and now.unknown is not None:
        found.append(mean_change("unknown", before.unknown, now.unknown, resamples))
    if len(now.errors):
        found += [
            mean_change("mae", before.errors, now.errors, resamples),
            coverage_change(now.covered, coverage, calibrated),
            order_change(before.scores, now.scores),
        ]
    corrected = holm([change.p_value for change in found])
    return [replace(one, p_holm=p_holm) for one, p_holm in zip(found, corrected, strict=True)]


def label_change(before: Labels, now: Labels, classes: int, resamples: int) -> Change:
    """Compare the shares of predicted labels by a chi-squared test of homogeneity.

    The p-value is that of random tables with the same margins. The effect is the total variation
    distance: the share of the new rows that would need another label to restore the shares.
    """
    counts = np.stack([np.bincount(rows, minlength=classes) for rows in (now, before)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    difference = shares[0] - shares[1]
    most = int(np.abs(difference).argmax())
    occurring = counts[:, counts.sum(axis=0) > 0]
    method = stats.MonteCarloMethod(resamples, TABLES_PER_BATCH, rng=np.random.default_rng(SEED))
    p_value = stats.chi2_contingency(occurring, correction=False, method=method).pvalue
    return Change(
        measure="labels",
        before=float(shares[1, most]),
        now=float(shares[0, most]),
        effect=float(np.abs(difference).sum() / 2),
        p_value=float(p_value),
        label=most,
    )


def mean_change(measure: str, before: Rows | Floats, now: Rows | Floats, resamples: int) -> Change:
    """Compare means by a permutation test; the effect is in standard deviations of all rows.

    Only the number of new rows with each value matters. Random tables with the same margins give
    these numbers in a time that does not depend on the number of rows.
    """
    values, places = np.unique(np.concatenate([now, before]), return_inverse=True)
    counts, sizes = np.bincount(places), [len(now), len(before)]
    centred = values - np.average(values, weights=counts)
    tables = stats.random_table(sizes, counts)
    rng = np.random.default_rng(SEED)
    observed = abs(float(np.bincount(places[: len(now)], minlength=len(values)) @ centred))
    limit = observed * (1 - 1e-12) - 1e-12  # sums of the same values may differ in the last digit
    extreme = sum(
        int((np.abs(tables.rvs(size, random_state=rng)[:, 0] @ centred) >= limit).sum())
        for size in _batches(resamples)
    )
    deviation = math.sqrt(np.average(centred**2, weights=counts))
    difference = float(now.mean() - before.mean())
    return Change(
        measure=measure,
        before=float(before.mean()),
        now=float(now.mean()),
        effect=difference / deviation if deviation else 0.0,
        p_value=(1 + extreme) / (1 + resamples),
    )


def _batches(total: int) -> Iterable[int]:
    """Yield the sizes of batches of at most `TABLES_PER_BATCH`."""
    return (min(TABLES_PER_BATCH, total - start) for start in range(0, total, TABLES_PER_BATCH))


def coverage_change(covered: Labels, target: float, calibrated: int) -> Change:
    """Test whether intervals contain fewer labels than conformal prediction guarantees.

    The number of covered rows has a beta-binomial distribution, since the threshold is a random one
    of the calibration's n scores (Vovk 2012; Angelopoulos and Bates 2023, section 3.2). With tied
    scores more rows are covered, so this one-sided test is conservative. The effect is in standard
    deviations of a row, √(target · (1 − target)).
    """
    rank = math.ceil((calibrated + 1) * target)  # of the score that is the threshold
    p_value = 1.0  # if every interval has every label, all rows are covered
    if rank <= calibrated:
        distribution = stats.betabinom(len(covered), rank, calibrated + 1 - rank)
        p_value = float(distribution.cdf(covered.sum()))
    share = float(covered.mean())
    effect = (share - target) / math.sqrt(target * (1 - target))
    return Change("coverage", target, share, effect, p_value)


def order_change(before: Floats, now: Floats) -> Change:
    """Test whether the rows are exchangeable in their order, by a conformal test martingale.

    By Ville's inequality, the martingale ever exceeds 1 / p with a probability of at most p.
    `before` and `now` are the expected and the observed mean rank of a score among all scores
    before it, from 0 to 1. The effect is in standard deviations of a rank, √(1 / 12).
    """
    p_values = conformal_p_values(before, now)
    largest = float(log_martingale(p_values).max())
    mean = float((1 - p_values).mean())
    p_value = math.exp(-max(largest, 0.0))
    return Change("order", 0.5, mean, (mean - 0.5) * math.sqrt(12), p_value)


def log_martingale(p_values: Floats) -> Floats:
    """Return the logarithm of the simple jumper martingale after each row, shape (rows,).

    A gambler with capital 1 bets on whether the next label will be more or less surprising than the
    earlier ones, and changes sides with probability `JUMP` (Vovk et al. 2021, Retrain or not
    retrain, algorithm 1). If the rows are exchangeable, the expected capital stays 1.

    Args:
        p_values: the `conformal_p_values` of the rows, in their order.
    """
    capitals, log_capital = np.full(len(BETS), 1 / len(BETS)), 0.0
    path = np.empty(len(p_values))
    for row, p_value in enumerate(p_values):
        capitals = (1 - JUMP) * capitals + JUMP / len(BETS)  # they sum to 1
        capitals = capitals * (1 + BETS * (p_value - 0.5))
        growth = capitals.sum()
        capitals = capitals / growth
        log_capital += math.log(growth)
        path[row] = log_capital
    return path


def conformal_p_values(before: Floats, now: Floats) -> Floats:
    """Return the smoothed conformal p-value of each new score, shape (rows,).

    It is the share of scores that are higher, among those of `before` and the new ones up to this
    row. Each equal score, its own too, counts as a random part of one. If all scores are
    exchangeable, the p-values are independent and uniformly distributed (Vovk et al. 2003).
    """
    shares = np.random.default_rng(SEED).random(len(now))
    past = np.sort(before)
    higher, equal = np.empty(len(now)), np.empty(len(now))
    for start in range(0, len(now), ROWS_PER_BLOCK):
        block = now[start : start + ROWS_PER_BLOCK]
        rows = slice(start, start + len(block))
        left, right = np.searchsorted(past, block), np.searchsorted(past, block, "right")
        earlier = np.tri(len(block))  # and itself
        higher[rows] = len(past) - right + (earlier * (block > block[:, None])).sum(axis=1)
        equal[rows] = right - left + (earlier * (block == block[:, None])).sum(axis=1)
        past = np.sort(np.concatenate([past, block]), kind="stable")
    p_values: Floats = (higher + shares * equal) / (len(before) + np.arange(1, len(now) + 1))
    return p_values
