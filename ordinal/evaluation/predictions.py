"""The table of predictions that the evaluate stage writes: its schema, written and read here."""

import numpy as np
import pandas as pd

from ordinal.common.errors import UserError
from ordinal.common.types import Probabilities


def refuse_other_rows(first: pd.DataFrame, second: pd.DataFrame, runs: str) -> None:
    """Check that two tables of predictions are of the same rows with the same labels.

    Raises:
        UserError: they are not; it calls them `runs`.
    """
    if not first[["row", "label"]].equals(second[["row", "label"]]):
        raise UserError(
            f"{runs} were tested on different rows ({len(first)} and {len(second)}): "
            "only runs over the same data and split can be compared"
        )
    names = [list(table.filter(regex="^p_")) for table in (first, second)]
    if names[0] != names[1]:
        raise UserError(f"{runs} tell other labels apart ({len(names[0])} and {len(names[1])})")


def probabilities_of(table: pd.DataFrame) -> Probabilities:
    """The `p_…` columns of a table of predictions, shape (rows, K)."""
    return table.filter(regex="^p_").to_numpy(np.float64)
