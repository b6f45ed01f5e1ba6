"""Compare two models on the same rows, metric by metric: difference, interval and p-value."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ordinal.common.types import Floats, Labels
from ordinal.evaluation.metrics import all_metrics, bootstrap
from ordinal.evaluation.predictions import probabilities_of, refuse_other_rows, shared_costs

PERMUTATIONS_PER_BATCH = 50  # more would only take more memory
DECIMALS = 12  # of a metric: the same sum in another order differs further to the right


@dataclass(frozen=True)
class Difference:
    """One metric of two models; the interval and the p-value are of `second` minus `first`."""

    first: float
    second: float
    low: float
    high: float
    p_value: float

    @property
    def difference(self) -> float:
        """`second` minus `first`."""
        return self.second - self.first


def compare(
    first: pd.DataFrame, second: pd.DataFrame, resamples: int = 1000, seed: int = 0
) -> dict[str, Difference]:
    """Compare two tables of predictions (`row`, `label`, `predicted`, `p_…`) metric by metric.

    The interval is the 95 % percentile interval of the paired bootstrap: rows are resampled, and
    both models are measured on them (Efron 1979). The p-value is that of the two-sided paired
    permutation test: if the models are exchangeable, the two predictions of any row may be swapped
    (Fisher 1935). It counts the observed case (Phipson and Smyth 2010), except with so few rows
    that `resamples` covers all swaps; it is then exact. NaN where a metric is not defined. There is
    a cost if either run has costs of errors, unless they differ.

    Raises:
        UserError: the tables are not of the same rows with the same labels.
    """
    refuse_other_rows(first, second, "the two runs")
    labels = first["label"].to_numpy(np.int64)
    predicted = np.stack([table["predicted"].to_numpy(np.int64) for table in (first, second)])
    probabilities = np.stack([probabilities_of(table) for table in (first, second)])
    costs = shared_costs((first, second))
    names = list(all_metrics(labels, predicted[0], probabilities[0], costs))
    all_rows, first_model = np.arange(len(labels)), np.zeros_like(labels)
    second_model = first_model + 1

    def measure(models: Labels, rows: Labels = all_rows) -> Floats:
        """Return the metrics over `rows`; `models` says which predicts each of them (0 or 1)."""
        values = all_metrics(
            labels[rows], predicted[models, rows], probabilities[models, rows], costs
        )
        return np.array(list(values.values()))

    def resampled_difference(rows: Labels) -> Floats:
        return measure(second_model[rows], rows) - measure(first_model[rows], rows)

    low, high = bootstrap(resampled_difference, len(labels), resamples, seed)
    p_values = _permutation_p_values(measure, first_model, second_model, resamples, seed)
    figures = np.stack([measure(first_model), measure(second_model), low, high, p_values], axis=1)
    return {name: Difference(*row) for name, row in zip(names, figures.tolist(), strict=True)}


def _permutation_p_values(
    measure: Callable[[Labels], Floats], first: Labels, second: Labels, resamples: int, seed: int
) -> Floats:
    """Return the p-value of each metric; `first` and `second` are model numbers, shape (rows,)."""

    def distances(one: Labels, other: Labels, axis: int) -> Floats:
        """Return |measure(other) − measure(one)|, shape (…, metrics), for shapes (…, rows)."""
        pairs = zip(one.reshape(-1, len(first)), other.reshape(-1, len(first)), strict=True)
        values = np.stack([measure(right) - measure(left) for left, right in pairs])
        return np.abs(values).round(DECIMALS).reshape(*one.shape[:-1], -1)

    test = stats.permutation_test(
        (first, second),
        distances,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=PERMUTATIONS_PER_BATCH,
        alternative="greater",  # of an absolute value, so that the test is two-sided
        rng=np.random.default_rng(seed),
    )
    p_values: Floats = np.where(np.isnan(test.statistic), np.nan, test.pvalue)
    return p_values
