"""Two models on the same rows: how they differ, and whether chance alone would differ as much."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ordinal.common.types import Floats, Labels
from ordinal.evaluation.metrics import all_metrics, bootstrap
from ordinal.evaluation.predictions import probabilities_of, refuse_other_rows


@dataclass(frozen=True)
class Difference:
    """One metric of two models. The interval and the p-value speak of `second` minus `first`."""

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

    The interval is the 95 % percentile interval of the paired bootstrap: rows are drawn, and both
    models measured on them (Efron 1979). The p-value is that of the paired permutation test: under
    the hypothesis that the models are exchangeable, each row's two predictions may be swapped
    (Fisher 1935; two-sided, with the observed case counted in, Phipson and Smyth 2010).

    Raises:
        UserError: the tables are not of the same rows with the same labels.
    """
    refuse_other_rows(first, second, "the two runs")
    labels = first["label"].to_numpy(np.int64)
    predicted = np.stack([table["predicted"].to_numpy(np.int64) for table in (first, second)])
    probabilities = np.stack([probabilities_of(table) for table in (first, second)])

    def difference(rows: Labels, swapped: Labels) -> Floats:
        """The second's metrics minus the first's, some rows' predictions swapped (1, else 0)."""
        return measure(1 - swapped, rows) - measure(swapped, rows)

    def measure(model: Labels, rows: Labels) -> Floats:
        values = all_metrics(labels[rows], predicted[model, rows], probabilities[model, rows])
        return np.array(list(values.values()))

    everything, none = np.arange(len(labels)), np.zeros_like(labels)
    names = all_metrics(labels, predicted[0], probabilities[0])
    of_first, of_second = measure(none, everything), measure(none + 1, everything)
    low, high = bootstrap(lambda rows: difference(rows, none[rows]), len(labels), resamples, seed)
    p_values = _permutation_test(
        lambda swapped: difference(everything, swapped),
        of_second - of_first,
        len(labels),
        resamples,
        seed,
    )
    figures = (of_first, of_second, low, high, p_values)
    return {
        name: Difference(*values)
        for name, *values in zip(names, *(figure.tolist() for figure in figures), strict=True)
    }


def _permutation_test(
    difference: Callable[[Labels], Floats], observed: Floats, rows: int, draws: int, seed: int
) -> Floats:
    rng = np.random.default_rng(seed)
    drawn = np.stack([difference(rng.integers(2, size=rows)) for _ in range(draws)])
    # A hair's breadth of tolerance: the same sum in another order is no smaller difference.
    as_large = (np.abs(drawn) >= np.abs(observed) - 1e-12).sum(axis=0)
    p_values: Floats = np.where(np.isnan(observed), np.nan, (as_large + 1) / (draws + 1))
    return p_values
