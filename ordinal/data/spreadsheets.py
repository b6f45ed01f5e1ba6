"""Tables for spreadsheets: cells of a CSV file that are shown as text, and not computed."""

import pandas as pd
from pandas.api.types import is_string_dtype

from ordinal.common.labels import escape_formula


def escape_cell(cell: object) -> object:
    """Return a cell that a spreadsheet shows as text; other cells than texts stay as they are."""
    if not isinstance(cell, str):
        return cell
    # Python's csv module does not quote a carriage return, which would then start a new row.
    return escape_formula(cell).replace("\r", "\n")


def escape_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with escaped texts and names of columns."""
    columns = [
        cells.map(escape_cell) if is_string_dtype(cells.dtype) else cells
        for _, cells in table.items()
    ]
    return pd.concat(columns, axis=1).rename(columns=escape_cell)
