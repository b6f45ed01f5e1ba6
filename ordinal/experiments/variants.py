"""Compare several variants, each trained with several seeds, with one of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ordinal.common.choices import Metric
from ordinal.common.costs import Costs
from ordinal.common.errors import UserError
from ordinal.common.types import Floats
from ordinal.evaluation.metrics import error_costs, ranked_probability_score
from ordinal.evaluation.predictions import probabilities_of, refuse_other_rows, shared_costs
from ordinal.evaluation.significance import holm


@dataclass(frozen=True)
class Contrast:
    """A variant minus the reference: mean difference, 95 % interval, p-value without and with Holm.

    `p_holm` is adjusted for the number of variants that are compared with the reference.
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Variant:
    """One metric of the runs of one variant.

    `values` has one value per seed. `mean` and `sd` are their mean and standard deviation (NaN
    with one seed). `low` and `high` are the 95 % interval of the mean. `contrast` is None for the
    reference.
    """

    name: str
    values: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    contrast: Contrast | None


@dataclass(frozen=True)
class Estimate:
    """A mean, its 95 % interval, and the two-sided p-value of the hypothesis that it is 0."""

    mean: float
    low: float
    high: float
    p_value: float


def compare_variants(
    runs: Mapping[str, Sequence[pd.DataFrame]], reference: str, metric: Metric
) -> list[Variant]:
    """Compare each variant with the reference, seed by seed and row by row, in the order of `runs`.

    `runs` has one table of predictions (`row`, `label`, `predicted`, `p_…`) per variant and seed,
    with the same seeds in the same order for all variants. Intervals and p-values are those of
    `estimate`: with one seed per variant they don't cover the variation between training runs.

    Raises:
        UserError: `reference` is not a variant, variants have different numbers of runs, the
            tables are not of the same rows with the same labels, or the metric is the cost and the
            runs have no costs, or different ones.
    """
    _refuse_unpaired(runs, reference)
    costs = shared_costs(table for tables in runs.values() for table in tables)
    scores = {
        name: np.stack([row_values(table, metric, costs) for table in tables])
        for name, tables in runs.items()
    }
    estimates = {
        name: estimate(values - scores[reference])
        for name, values in scores.items()
        if name != reference
    }
    adjusted = holm([difference.p_value for difference in estimates.values()])
    contrasts = {
        name: Contrast(difference.mean, difference.low, difference.high, difference.p_value, p_holm)
        for (name, difference), p_holm in zip(estimates.items(), adjusted, strict=True)
    }
    return [_variant(name, values, contrasts.get(name)) for name, values in scores.items()]


def row_values(table: pd.DataFrame, metric: Metric, costs: Costs | None) -> Floats:
    """Return the values, shape (rows,), whose mean is the metric of a table of predictions.

    Raises:
        UserError: the metric is the cost, and there are no costs.
    """
    labels, predicted = (table[name].to_numpy(np.int64) for name in ("label", "predicted"))
    if metric == "rps":
        return ranked_probability_score(labels, probabilities_of(table))
    if metric == "cost":
        if costs is None:
            raise UserError(
                "the metric is cost, but the runs have no costs of errors, or different ones: set "
                "data.costs, the same for all runs"
            )
        return error_costs(labels, predicted, costs)
    distance = np.abs(predicted - labels)
    each = {"mae": distance, "accuracy": distance == 0, "off_by_one": distance <= 1}[metric]
    values: Floats = each.astype(np.float64)
    return values


def estimate(values: Floats) -> Estimate:
    """Estimate the mean of values of shape (seeds, rows), with both seeds and rows as samples.

    The variance of the mean is estimated as A + B: the variance of the seeds' means divided by the
    number of seeds, plus the variance of the rows' means divided by the number of rows. Student's t
    has (A+B)² / (A²/(seeds−1) + B²/(rows−1)) degrees of freedom (Satterthwaite), so that t² is the
    min F′ of Clark (1973).

    A + B counts the interaction of seed and row twice, which is conservative. The degrees of
    freedom are not conservative if there are few seeds and nearly all variance is between seeds: a
    nominal 5 % is then about 12 % with two seeds, 8 % with three and 6 % with five.

    With one seed A is 0: the result does not cover the variation between seeds.
    """
    seeds, rows = values.shape
    mean = float(values.mean())
    of_seeds = float(values.mean(axis=1).var(ddof=1)) / seeds if seeds > 1 else 0.0
    of_rows = float(values.mean(axis=0).var(ddof=1)) / rows
    variance = of_seeds + of_rows
    if variance == 0:
        return Estimate(mean, mean, mean, float(mean == 0))
    # In shares of the variance: squares of small variances would underflow.
    share = of_seeds / variance
    freedom = 1 / (share**2 / max(seeds - 1, 1) + (1 - share) ** 2 / (rows - 1))
    error = math.sqrt(variance)
    half = error * float(stats.t.ppf(0.975, freedom))
    p_value = 2 * float(stats.t.sf(abs(mean) / error, freedom))
    return Estimate(mean, mean - half, mean + half, p_value)


def _refuse_unpaired(runs: Mapping[str, Sequence[pd.DataFrame]], reference: str) -> None:
    if reference not in runs:
        raise UserError(f"no variant is called '{reference}': there are {', '.join(runs)}")
    expected = runs[reference]
    for name, tables in runs.items():
        if len(tables) != len(expected):
            raise UserError(
                f"'{name}' and '{reference}' have different numbers of runs ({len(tables)} and "
                f"{len(expected)}): variants are compared seed by seed"
            )
        for number, table in enumerate(tables, 1):
            both = f"run {number} of '{name}' and run 1 of '{reference}'"
            refuse_other_rows(table, expected[0], both)


def _variant(name: str, values: Floats, contrast: Contrast | None) -> Variant:
    overall, seeds = estimate(values), values.mean(axis=1)
    return Variant(
        name=name,
        values=tuple(seeds.tolist()),
        mean=overall.mean,
        sd=float(seeds.std(ddof=1)) if len(seeds) > 1 else math.nan,
        low=overall.low,
        high=overall.high,
        contrast=contrast,
    )
