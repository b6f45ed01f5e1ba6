"""Read a table of any format in chunks. No file is trusted to be well formed."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from ordinal.common.errors import UserError
from ordinal.common.files import ROWS_PER_CHUNK
from ordinal.common.formats import Format
from ordinal.common.parquet import open_parquet
from ordinal.data.compression import check_growth, opened
from ordinal.data.delimited import DelimitedTable, Lines, line_end
from ordinal.data.detection import SAMPLE, detect, explained, first_undecodable
from ordinal.data.excel import excel_chunks
from ordinal.data.headers import column_names, name_key, refuse_missing
from ordinal.data.json_rows import json_chunks, rows_of_array, rows_of_lines
from ordinal.data.rows import row_of

KINDS = ("csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "xlsx")
"""The usual endings of tables."""
NESTED = ("json", "jsonl", "parquet")  # kinds whose cells may be lists
ROWS_OF_JSON = {"json": rows_of_array, "jsonl": rows_of_lines}
FASTTEXT = re.compile(r"(?:__label__(\S*))?[ \t]?(.*)", re.DOTALL)


def read_table(
    path: Path,
    columns: Sequence[str] | None,
    name: str,
    fixed: Format | None = None,
    repairs: Counter[str] | None = None,
    also: Sequence[str] = (),
) -> Iterator[pd.DataFrame]:
    """Yield a table in chunks of at most `ROWS_PER_CHUNK` rows.

    Args:
        path: A table of lines and separators, JSON, fastText, Parquet or Excel.
        columns: The columns to return, in this order; None returns all.
        name: The name of the file in error messages, since `path` may be a temporary file.
        fixed: What is known of the format; all else is detected.
        repairs: Counts what was repaired, by kind. It is complete after the last chunk.
        also: Columns to return after `columns`, with their cells as they are. In JSON, rows may
            lack them.

    Raises:
        UserError: the file can't be read without loss, or one of `columns` is missing or
            duplicated.
    """
    wanted = None if columns is None else [*columns, *also]
    optional = [column for column in also if column not in (columns or ())]
    found = detect(path, name, fixed, wanted)
    repairs = Counter() if repairs is None else repairs
    may_swallow = fixed is not None and "quoting" in fixed.model_fields_set
    with _errors_explained(path, found, name):
        for chunk in _chunks(path, found, wanted, name, repairs, may_swallow, optional):
            if found.kind in NESTED:
                chunk = _unwrapped(chunk, repairs, len(chunk.columns) - len(also))
            yield chunk


def read_cells(path: Path, found: Format, name: str) -> Iterator[pd.DataFrame]:
    """Yield all columns of a table in chunks, with their cells as they are.

    Args:
        path: The table.
        found: Its format.
        name: The name of the file in error messages.
    """
    with _errors_explained(path, found, name):
        yield from _chunks(path, found, None, name, Counter(), may_swallow=True, optional=())


@contextmanager
def _errors_explained(path: Path, found: Format, name: str) -> Iterator[None]:
    try:
        with explained(name, found.kind):
            yield
    except UnicodeDecodeError:
        raise first_undecodable(path, found, name) from None


def kind_of(path: Path) -> str:
    """Return the ending of a table's name without .gz or .zip; see `KINDS`."""
    return path.name.lower().removesuffix(".gz").removesuffix(".zip").rpartition(".")[2]


def _chunks(
    path: Path,
    found: Format,
    columns: Sequence[str] | None,
    name: str,
    repairs: Counter[str],
    may_swallow: bool,
    optional: Sequence[str],
) -> Iterator[pd.DataFrame]:
    if found.kind == "parquet":
        yield from _parquet(path, columns, name, repairs)
        return
    if found.kind == "xlsx":
        for names, cells in excel_chunks(path, found, ROWS_PER_CHUNK, name, repairs):
            refuse_missing(columns or (), names, name)
            yield _frame(cells, names, columns)
        return
    with _text(path, found) as (file, end):
        if found.kind in ROWS_OF_JSON:
            rows = ROWS_OF_JSON[found.kind](file, name)
            yield from json_chunks(rows, ROWS_PER_CHUNK, columns, name, repairs, optional)
        elif found.kind == "fasttext":
            yield from _fasttext(file, columns, name)
        else:
            table = DelimitedTable(Lines(file, end), found, name, repairs)
            yield from _delimited(table, columns, name, may_swallow)


def _delimited(
    table: DelimitedTable, columns: Sequence[str] | None, name: str, may_swallow: bool
) -> Iterator[pd.DataFrame]:
    refuse_missing(columns or (), table.names, name)
    for chunk in table.chunks(ROWS_PER_CHUNK, may_swallow):
        yield _frame(chunk, table.names, columns)
    if not table.read:
        yield _frame([], table.names, columns)


@contextmanager
def _text(path: Path, found: Format) -> Iterator[tuple[TextIO, str]]:
    """Yield a file's text, split only at its line ends, and the character that ends its lines."""
    encoding = "utf-8-sig" if found.encoding == "utf-8" else found.encoding
    with opened(path, found.compression) as file:
        end = line_end(io.TextIOWrapper(file, encoding, newline="").read(SAMPLE))
    with opened(path, found.compression) as file:
        yield io.TextIOWrapper(file, encoding, newline=end), end


def _frame(
    rows: Sequence[Sequence[object]],
    names: Sequence[str],
    columns: Sequence[str] | None,
) -> pd.DataFrame:
    """Return rows as a table of `columns`, or of all of them."""
    wanted = list(names if columns is None else columns)
    places = range(len(names)) if columns is None else [names.index(name_key(n)) for n in columns]
    cells = {number: [row[place] for row in rows] for number, place in enumerate(places)}
    return pd.DataFrame(cells, dtype=object).set_axis(wanted, axis=1)


def _fasttext(file: TextIO, columns: Sequence[str] | None, source: str) -> Iterator[pd.DataFrame]:
    names = ("label", "text")
    refuse_missing(columns or (), names, source)
    rows = (_fasttext_row(line, row_of(source, n)) for n, line in enumerate(file, 1))
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        yield _frame(chunk, names, columns)


def _fasttext_row(line: str, row: str) -> tuple[str | None, str | None]:
    found = FASTTEXT.fullmatch(line.rstrip("\r\n"))
    label, text = found.groups() if found else (None, line)
    if text and text.lstrip().startswith("__label__"):
        count = len(re.findall(r"__label__\S*", line))
        raise UserError(f"{row} has {count} labels: one label per row is needed")
    return label, text or None


def _parquet(
    path: Path, columns: Sequence[str] | None, source: str, repairs: Counter[str]
) -> Iterator[pd.DataFrame]:
    table = open_parquet(path)
    groups = (table.metadata.row_group(index) for index in range(table.num_row_groups))
    check_growth(path, sum(group.total_byte_size for group in groups))
    stored = table.schema_arrow.names
    names = column_names(stored, repairs)
    refuse_missing(columns or (), names, source)
    wanted = names if columns is None else columns
    chosen = [stored[names.index(name_key(column))] for column in wanted]
    rows = 0
    for batch in table.iter_batches(ROWS_PER_CHUNK, columns=chosen):
        batch.validate(full=True)  # also checks that texts are UTF-8
        rows += len(batch)
        # Whole numbers stay so next to missing values.
        chunk = batch.to_pandas(ignore_metadata=True, integer_object_nulls=True)
        yield chunk[chosen].set_axis(wanted, axis=1)
    if rows != table.metadata.num_rows:
        raise UserError(f"{source}: {rows} of {table.metadata.num_rows} rows could be read")


def _unwrapped(chunk: pd.DataFrame, repairs: Counter[str], columns: int) -> pd.DataFrame:
    """Replace lists of one value by the value, as annotation tools export labels.

    This applies to the first `columns` columns.
    """
    cells = {}
    for number, (_, column) in enumerate(chunk.items()):
        if number < columns and column.dtype == object:
            column = pd.Series([_unwrap(cell, repairs) for cell in column], dtype=object)
        cells[number] = column
    return pd.DataFrame(cells).set_axis(chunk.columns, axis=1)


def _unwrap(cell: object, repairs: Counter[str]) -> object:
    if isinstance(cell, list | np.ndarray) and len(cell) < 2:
        repairs["lists of one value unwrapped"] += len(cell)
        return cell[0] if len(cell) else None
    return cell
