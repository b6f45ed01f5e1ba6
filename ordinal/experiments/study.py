"""Several runs of each of several variants: how they differ, beyond the luck of seeds and rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from ordinal.common.errors import UserError
from ordinal.common.types import Floats
from ordinal.evaluation.metrics import ranked_probability_score
from ordinal.evaluation.predictions import probabilities_of, refuse_other_rows

Metric = Literal["mae", "accuracy", "off_by_one", "rps"]
"""Those of `ordinal.metrics` that are a mean over rows."""


@dataclass(frozen=True)
class Against:
    """An arm minus the reference: the mean difference, its 95 % interval, and two p-values.

    `p_holm` is adjusted for the number of arms that are compared with the reference.
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Arm:
    """One metric of the runs of one variant.

    `values` has one value a seed, of which `mean` and `sd` are the mean and the standard deviation
    (NaN if there is but one); `low` and `high` are the 95 % interval of the mean. `against` is
    None for the reference itself.
    """

    name: str
    runs: int
    values: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    against: Against | None


@dataclass(frozen=True)
class Estimate:
    """A mean, its 95 % interval, and the two-sided p-value of the hypothesis that it is 0."""

    mean: float
    low: float
    high: float
    p_value: float


def compare_arms(
    runs: Mapping[str, Sequence[pd.DataFrame]], reference: str, metric: Metric
) -> list[Arm]:
    """Compare each arm with the reference, seed by seed and row by row; in the order of `runs`.

    An arm has one table of predictions (`row`, `label`, `predicted`, `p_…`) a seed: the same seeds
    in the same order in all arms. Intervals and p-values are those of `estimate`, so that with one
    seed an arm they speak of the test rows drawn, not of the luck of one training run.

    Raises:
        UserError: no arm has the reference's name, arms have different numbers of runs, or the
            tables are not of the same rows with the same labels.
    """
    _check(runs, reference)
    scores = {
        name: np.stack([row_values(table, metric) for table in tables])
        for name, tables in runs.items()
    }
    gains = {
        name: estimate(values - scores[reference])
        for name, values in scores.items()
        if name != reference
    }
    adjusted = dict(zip(gains, holm([gain.p_value for gain in gains.values()]), strict=True))
    against = {
        name: Against(gain.mean, gain.low, gain.high, gain.p_value, adjusted[name])
        for name, gain in gains.items()
    }
    return [_arm(name, values, against.get(name)) for name, values in scores.items()]


def row_values(table: pd.DataFrame, metric: Metric) -> Floats:
    """What each row of a table of predictions adds to the metric, their mean; shape (rows,)."""
    labels = table["label"].to_numpy(np.int64)
    if metric == "rps":
        return ranked_probability_score(labels, probabilities_of(table))
    distance = np.abs(table["predicted"].to_numpy(np.int64) - labels)
    each = {"mae": distance, "accuracy": distance == 0, "off_by_one": distance <= 1}[metric]
    values: Floats = each.astype(np.float64)
    return values


def estimate(values: Floats) -> Estimate:
    """The mean of values of shape (seeds, rows), where both the seeds and the rows are chance.

    Its variance is put at A + B, that of the seeds' means over the number of seeds plus that of
    the rows' means over the number of rows, and Student's t has (A+B)² / (A²/(seeds−1) +
    B²/(rows−1)) degrees of freedom: t² is the min F′ of Clark (1973), with Satterthwaite's degrees
    of freedom. A + B counts what is of one seed on one row alone twice, and so errs on the safe
    side. The degrees of freedom do not where there are few seeds and nearly all is their doing:
    5 % is then rather 12 % with two seeds, 8 % with three, 6 % with five.

    With one seed there is no A: nothing is said of what another seed would have done.
    """
    seeds, rows = values.shape
    mean = float(values.mean())
    of_seeds = float(values.mean(axis=1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    of_rows = float(values.mean(axis=0).var(ddof=1)) / rows
    variance = of_seeds + of_rows
    if variance == 0:
        return Estimate(mean, mean, mean, float(mean == 0))
    # In shares of the variance, for the squares of small variances would vanish.
    share = of_seeds / variance
    freedom = 1 / (share**2 / max(seeds - 1, 1) + (1 - share) ** 2 / (rows - 1))
    error = math.sqrt(variance)
    half = error * float(stats.t.ppf(0.975, freedom))
    p_value = 2 * float(stats.t.sf(abs(mean) / error, freedom))
    return Estimate(mean, mean - half, mean + half, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, in the order given.

    The chance that any true hypothesis has an adjusted p-value of 5 % or less is at most 5 %,
    however the tests depend on each other (Holm 1979).
    """
    values = np.array(p_values, dtype=np.float64)
    order = values.argsort()
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    # None is less than one that was smaller before.
    adjusted[order] = np.maximum.accumulate(values[order] * factors).clip(max=1)
    return [float(value) for value in adjusted]


def _check(runs: Mapping[str, Sequence[pd.DataFrame]], reference: str) -> None:
    if reference not in runs:
        raise UserError(f"no arm is called '{reference}': there are {', '.join(runs)}")
    expected = runs[reference]
    for name, tables in runs.items():
        if len(tables) != len(expected):
            raise UserError(
                f"'{name}' and '{reference}' have different numbers of runs ({len(tables)} and "
                f"{len(expected)}): arms are compared seed by seed"
            )
        for number, table in enumerate(tables, 1):
            runs_named = f"run {number} of '{name}' and run 1 of '{reference}'"
            refuse_other_rows(table, expected[0], runs_named)


def _arm(name: str, values: Floats, against: Against | None) -> Arm:
    overall, seeds = estimate(values), values.mean(axis=1)
    sd = float(seeds.std(ddof=1)) if len(seeds) > 1 else math.nan
    return Arm(
        name=name,
        runs=len(seeds),
        values=tuple(seeds.tolist()),
        mean=overall.mean,
        sd=sd,
        low=overall.low,
        high=overall.high,
        against=against,
    )
