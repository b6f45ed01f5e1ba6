"""Columns that are carried along with the texts, such as ids: their types, and their cells.

No value is changed. A cell of text is spelled as in the file, and numbers and dates stay numbers
and dates. Lists, objects, bytes, and the cells of a column of several types become text.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from ordinal.common.formats import Format
from ordinal.common.parquet import open_parquet
from ordinal.data.detection import detect, explained
from ordinal.data.headers import name_key
from ordinal.data.tables import read_cells

EXACT = 1 << 53  # whole numbers up to this are exact as floats
LONGEST = 1 << 63
TYPES = {
    frozenset({"truth value"}): pa.bool_(),
    frozenset({"whole"}): pa.int64(),
    frozenset({"long"}): pa.int64(),
    frozenset({"whole", "long"}): pa.int64(),
    frozenset({"float"}): pa.float64(),
    frozenset({"whole", "float"}): pa.float64(),
    frozenset({"time"}): pa.timestamp("us"),
}
"""Types by the kinds of the cells of a column; all others are text."""
UNCHANGED = (
    *(pt.is_integer, pt.is_floating, pt.is_decimal, pt.is_boolean),
    *(pt.is_date, pt.is_time, pt.is_timestamp),
)


def table_schema(
    path: Path, columns: Sequence[str], name: str, fixed: Format | None = None
) -> pa.Schema:
    """Return all columns of a table: their names, and the types in which they are carried along.

    A table of JSON or Excel is read to its end, because its cells may have any type.

    Args:
        path: The table.
        columns: The columns that will be read, which help to detect the format.
        name: The name of the file in error messages.
        fixed: What is known of the format; all else is detected.

    Raises:
        UserError: the file can't be read.
    """
    found = detect(path, name, fixed, columns)
    if found.kind == "parquet":
        with explained(name, found.kind):
            stored = open_parquet(path).schema_arrow
        return pa.schema([(name_key(field.name), _carried_type(field.type)) for field in stored])
    chunks = read_cells(path, found, name)
    if found.kind in ("csv", "fasttext"):
        first = next(chunks, pd.DataFrame())
        return pa.schema([(column, pa.string()) for column in first.columns])
    return _scanned(chunks)


def _carried_type(stored: pa.DataType) -> pa.DataType:
    if pt.is_dictionary(stored):
        return _carried_type(stored.value_type)
    return stored if any(is_type(stored) for is_type in UNCHANGED) else pa.string()


def _scanned(chunks: Iterable[pd.DataFrame]) -> pa.Schema:
    kinds: dict[tuple[str, int], set[str]] = {}  # by name and its number, as names may be repeated
    for chunk in chunks:
        seen: Counter[str] = Counter()
        for column, cells in chunk.items():
            of_column = kinds.setdefault((str(column), seen[str(column)]), set())
            of_column.update(_kind(cell) for cell in cells if not _is_missing(cell))
            seen[str(column)] += 1
    return pa.schema(
        [(name, TYPES.get(frozenset(found), pa.string())) for (name, _), found in kinds.items()]
    )


def _kind(cell: object) -> str:
    if isinstance(cell, bool):
        return "truth value"
    if isinstance(cell, int):
        size = abs(cell)
        return "whole" if size <= EXACT else "long" if size < LONGEST else "other"
    if isinstance(cell, float):
        return "float"
    return "time" if isinstance(cell, datetime) and cell.tzinfo is None else "other"


def _is_missing(cell: object) -> bool:
    """Return whether a cell is None or NaN."""
    return cell is None or cell is pd.NaT or (isinstance(cell, float | Decimal) and cell != cell)


def carried_arrays(chunk: pd.DataFrame, schema: pa.Schema) -> list[pa.Array]:
    """Return the columns of a chunk in the types of `schema`, which has as many columns."""
    return [carried_array(chunk.iloc[:, number], field.type) for number, field in enumerate(schema)]


def carried_array(cells: "pd.Series[Any]", to: pa.DataType) -> pa.Array:
    """Return the cells of a column in a type of `table_schema`."""
    if to == pa.string():
        return pa.array(_texts(cells), to)
    return pa.array(cells, to, from_pandas=True)


def _texts(cells: Iterable[object]) -> Iterator[str | None]:
    for cell in cells:
        text = None if _is_missing(cell) else cell if isinstance(cell, str) else _as_text(cell)
        # Half of a surrogate pair has no place in Parquet.
        yield text and text.encode("utf-8", "backslashreplace").decode()


def _as_text(cell: object) -> str:
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "backslashreplace")
    if isinstance(cell, Decimal):
        return str(cell)
    return json.dumps(cell, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """Return a value within a list or an object for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return _as_text(value) if isinstance(value, date | time | bytes) else str(value)
