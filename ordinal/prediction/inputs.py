"""Read the texts to predict, in chunks, from arguments, a file, or stdin."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from ordinal.common.errors import UserError, quoted
from ordinal.common.formats import Format
from ordinal.data.carried import carried_arrays, table_schema
from ordinal.data.headers import name_key, refuse_missing
from ordinal.data.rows import join_cells
from ordinal.data.tables import KINDS, kind_of, read_table
from ordinal.sources.data_files import is_url

INTO_FOLDER = "name a folder for the predictions with --out"
ROWS_PER_CHUNK = 2048  # texts in memory at once, which are sorted by length together


class Chunk(NamedTuple):
    """Some rows."""

    texts: Sequence[object]
    """The cells of the text column; not every cell is usable text."""
    others: pa.Table | None = None
    """The columns of the file to return next to the predictions."""


@dataclass(frozen=True)
class TextSource:
    """Texts to predict, in chunks."""

    name: str
    """Used in error messages."""
    chunks: Iterator[Chunk]


def choose_texts(
    arguments: Sequence[str],
    columns: Sequence[str],
    out: Path | None,
    stdin: TextIO | None,
    fixed: Format | None = None,
    keep: Sequence[str] = (),
) -> TextSource:
    """Read the `columns` of the one file named in `arguments`, the arguments, or lines of `stdin`.

    Raises:
        UserError: there is a column without a single file, an argument is a file or folder, there
            is no stdin, or `out` is the file that is read.
    """
    if columns:
        path = _only_table(arguments, out)
        return TextSource(str(path), rows_of_file(path, columns, keep, fixed))
    if arguments:
        _refuse_paths(arguments)
    if keep:
        raise UserError("--keep names columns of a file: add the name of that file, and --text")
    if arguments:
        return TextSource("arguments", iter([Chunk(arguments)]))
    if stdin is None:
        raise UserError("stdin is closed: give texts as arguments, or a file with --text")
    return TextSource("stdin", map(Chunk, texts_of_lines(stdin.buffer)))


def _only_table(arguments: Sequence[str], out: Path | None) -> Path:
    """Return the path of the one file among the arguments, which is not `out`.

    Raises:
        UserError: they are not one local file.
    """
    if not arguments:
        raise UserError("--text names the column of one file: add the name of that file")
    path = Path(arguments[0])
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file in it, or {INTO_FOLDER}")
    if len(arguments) > 1 or is_url(arguments[0]):
        raise UserError(f"{arguments[0]} is not the only local file: {INTO_FOLDER}")
    if out and out.resolve() == path.resolve():
        raise UserError(f"--out {out} is the file with the texts: choose another name")
    return path


def _refuse_paths(arguments: Sequence[str]) -> None:
    """Refuse names of files and folders among the texts, and propose the command to use.

    Raises:
        UserError: an argument is an existing file or folder.
    """
    for argument in filter(os.path.exists, arguments):
        path, name = Path(argument), shlex.quote(argument)
        if path.is_dir():
            refusal = f"a folder: run `ordinal predict FILE --text COLUMN` with a file in {name}"
        elif len(arguments) > 1:
            refusal = "a file: predict one file at a time, or only texts"
        elif _is_table(path):
            refusal = (
                "a file: name the column of its texts with --text, as in "
                f"`ordinal predict {name} --text COLUMN`"
            )
        else:
            refusal = f"a file: to predict each of its lines, run `ordinal predict < {name}`"
        if not path.suffix:  # it may be a word
            refusal += f"; to predict its name, run `echo {name} | ordinal predict`"
        raise UserError(f"{argument} is {refusal}")


def _is_table(path: Path) -> bool:
    return path.suffix != ".txt" and (kind_of(path) in KINDS or path.suffix in (".gz", ".zip"))


def rows_of_file(
    path: Path, columns: Sequence[str], keep: Sequence[str] = (), fixed: Format | None = None
) -> Iterator[Chunk]:
    """Yield the texts of a table and its other columns, `ROWS_PER_CHUNK` rows at a time.

    Repairs of the table are reported on stderr at the end.

    Args:
        path: The table.
        columns: The text columns, whose texts are joined.
        keep: The columns to return next to the texts; all with a name if there are none.
        fixed: Fields of the table's format; the others are detected.

    Raises:
        UserError: the file is missing, can't be read without loss, or lacks a column.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: --text names the column of a file")
    name, repairs = str(path), Counter[str]()
    others = columns_to_return(table_schema(path, columns, name, fixed), keep, name)
    for rows in read_rows(path, name, columns, others, fixed, repairs):
        yield chunk_of(rows, len(columns), others)
    report_repairs(name, repairs)


def read_rows(
    path: Path,
    name: str,
    columns: Sequence[str],
    others: pa.Schema,
    fixed: Format | None,
    repairs: Counter[str],
) -> Iterator[pd.DataFrame]:
    """Yield the text columns and the other columns of a table, `ROWS_PER_CHUNK` rows at a time.

    Raises:
        UserError: the file can't be read without loss, or lacks a column.
    """
    for table in read_table(path, columns, name, fixed, repairs, others.names):
        for start in range(0, len(table), ROWS_PER_CHUNK):
            yield table.iloc[start : start + ROWS_PER_CHUNK]


def chunk_of(rows: pd.DataFrame, texts: int, others: pa.Schema) -> Chunk:
    """Return rows whose first `texts` columns are the text, with the `others` in their types."""
    cells = rows.iloc[:, :texts].itertuples(index=False, name=None)
    carried = carried_arrays(rows.iloc[:, texts:], others)
    return Chunk([*map(join_cells, cells)], pa.table(carried, schema=others))


def report_repairs(name: str, repairs: Mapping[str, int]) -> None:
    """Print the number of repairs of a file, by kind, on stderr."""
    for repair, number in repairs.items():
        tqdm.write(f"{name}: {repair}: {number}", file=sys.stderr)


def columns_to_return(schema: pa.Schema, keep: Sequence[str], name: str) -> pa.Schema:
    """Return the columns of a table to return next to the predictions.

    Args:
        schema: All columns of the table.
        keep: The names of the columns to return; all with a name if there are none.
        name: The name of the file in error messages.

    Raises:
        UserError: a column is missing, or it is not clear which one is meant.
    """
    if keep:
        refuse_missing(keep, schema.names, name)
        return pa.schema([schema.field(name_key(column)) for column in keep])
    named = [field for field in schema if field.name]
    if twice := [field.name for field in named if schema.names.count(field.name) > 1]:
        raise UserError(
            f"{name}: several columns are named {quoted(twice[0])}: rename one, or choose the "
            "columns to return with --keep"
        )
    return pa.schema(named)


def texts_of_lines(stream: Iterable[bytes]) -> Iterator[Sequence[object]]:
    """Yield the lines of a stream, one text per line, `ROWS_PER_CHUNK` at a time.

    Raises:
        UserError: a line is not UTF-8.
    """
    lines = (_decode(line, number) for number, line in enumerate(_lines(stream), start=1))
    while chunk := list(islice(lines, ROWS_PER_CHUNK)):
        yield chunk


def _lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream, which end in a carriage return if it has no line feed."""
    has_feeds = False
    for line in stream:
        has_feeds = has_feeds or line.endswith(b"\n")
        if has_feeds:
            yield line
        else:
            yield from line.removesuffix(b"\r").split(b"\r")


def _decode(line: bytes, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        return text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UserError(f"stdin: line {number} is not UTF-8: convert the text to UTF-8") from None
