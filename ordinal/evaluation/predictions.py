"""The table of predictions, data/predictions/PART.parquet: its columns, written and read here.

One row per review: the kept columns, `row` (its number in data/raw), `label`, `predicted`, `low`
and `high` (the ends of its interval; the last four are classes 0 … K−1), and then `p_<label>` for
each label, lowest first.
The probabilities are found by position: they are the columns after the last of `COLUMNS`. So a
label can be called "p_x", and a kept column can have any other name.

The costs of errors, if the data has any, are an attribute of the table, which pandas writes to the
metadata of the file.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ordinal.common.columns import probability_columns
from ordinal.common.costs import Costs
from ordinal.common.errors import UserError
from ordinal.common.types import Labels, Probabilities, Rows

COLUMNS = ("row", "label", "predicted", "low", "high")
COSTS = "costs"
"""Attribute of the table."""


def predictions_table(
    rows: Rows,
    labels: Labels,
    predicted: Labels,
    interval: tuple[Labels, Labels],
    probabilities: Probabilities,
    names: Sequence[str],
    kept: pd.DataFrame | None = None,
    costs: Costs | None = None,
) -> pd.DataFrame:
    """Return the table of predictions.

    Args:
        rows: number of each review in data/raw, shape (rows,).
        labels: true classes, shape (rows,).
        predicted: decoded classes, shape (rows,).
        interval: lowest and highest class of each interval, both of shape (rows,).
        probabilities: distributions, shape (rows, K).
        names: the K labels, lowest first.
        kept: columns of the source that were carried along, or None.
        costs: costs of errors, or None.
    """
    classes = zip(COLUMNS, (rows, labels, predicted, *interval), strict=True)
    distributions = pd.DataFrame(probabilities, columns=probability_columns(names))
    in_front = [] if kept is None else [kept]
    table = pd.concat([*in_front, pd.DataFrame(dict(classes)), distributions], axis=1)
    if costs is not None:
        table.attrs[COSTS] = costs
    return table


def shared_costs(tables: Iterable[pd.DataFrame]) -> Costs | None:
    """Return the costs of errors of runs.

    Runs without costs can be judged by those of the others. The result is None if no run has any,
    or two runs have different ones.
    """
    found = [table.attrs[COSTS] for table in tables if COSTS in table.attrs]
    return found[0] if found and all(costs == found[0] for costs in found) else None


def probabilities_of(table: pd.DataFrame) -> Probabilities:
    """Return the probabilities in a table of predictions, shape (rows, K)."""
    return table[probability_names(table)].to_numpy(np.float64)


def refuse_other_rows(first: pd.DataFrame, second: pd.DataFrame, runs: str) -> None:
    """Check that two tables of predictions have the same rows, true labels and classes.

    Raises:
        UserError: they do not; the message calls them `runs`.
    """
    if not first[["row", "label"]].equals(second[["row", "label"]]):
        raise UserError(
            f"{runs} were tested on different rows ({len(first)} and {len(second)}): "
            "only runs on the same data and split can be compared"
        )
    names = [probability_names(table) for table in (first, second)]
    if names[0] != names[1]:
        raise UserError(
            f"{runs} predict different labels ({len(names[0])} and {len(names[1])}): "
            "only runs on the same labels can be compared"
        )


def probability_names(table: pd.DataFrame) -> list[str]:
    """Return the names of the columns of probabilities in a table of predictions."""
    columns = list(table.columns)
    start = 1 + max(columns.index(name) for name in COLUMNS if name in columns)
    return columns[start:]
