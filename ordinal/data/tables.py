"""Read a table piece by piece: CSV, TSV, JSON Lines or Parquet, none of which is trusted."""

import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pandas as pd
import pyarrow as pa

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import is_html
from ordinal.common.parquet import open_parquet

PIECE = 10_000  # rows in memory at once
GROWTH = 100  # times its own size: what a packed file may unpack to,
FREE_GROWTH = 64 << 20  # or this many bytes, if that is more
KINDS = ("csv", "tsv", "jsonl", "parquet")
SEPARATED = {
    "csv": " (the columns of a .csv are separated by commas)",
    "tsv": " (the columns of a .tsv are separated by tabs)",
}


def read_table(path: Path, columns: Sequence[str] | None, name: str) -> Iterator[pd.DataFrame]:
    """Read CSV, TSV, JSON Lines (all also .gz, .zip) or Parquet in pieces of at most `PIECE` rows.

    None stands for all columns. Errors call the file `name`, since `path` may be a temporary one.

    Raises:
        UserError: the file can't be read as its name says, lacks one of `columns`, or has it twice.
    """
    kind = kind_of(path)
    if kind not in KINDS:
        raise UserError(
            f"{name}: not a kind of file that is read: use .csv, .tsv, .jsonl or .parquet"
        )
    if is_html(path):
        raise UserError(f"{name} is an HTML page, not a table: save the file itself, not its page")
    try:
        for piece in _pieces(path, kind):
            _check_columns(list(piece.columns), columns or (), kind, name)
            yield piece if columns is None else piece[list(columns)]
    except UnicodeDecodeError:
        line = _first_not_utf8(path)
        raise UserError(f"{name}: line {line} is not UTF-8: save the file as UTF-8") from None
    except (
        ValueError,
        OSError,
        EOFError,
        NotImplementedError,  # a way of packing that zipfile doesn't know
        lzma.LZMAError,
        zipfile.BadZipFile,
        zlib.error,
        pa.ArrowException,
    ) as error:
        raise UserError(f"{name}: can't be read as {kind}: {_reason(error)}") from None


def kind_of(path: Path) -> str:
    """The ending of a table's name, packed or not; the kinds that are read are `KINDS`."""
    return path.name.lower().removesuffix(".gz").removesuffix(".zip").rpartition(".")[2]


def _check_columns(has: list[object], wanted: Sequence[str], kind: str, name: str) -> None:
    for column in wanted:
        if column not in has:
            names = ", ".join(quoted(column) for column in has[:20])
            hint = SEPARATED.get(kind, "") if len(has) == 1 else ""
            raise UserError(f"{name}: no column {quoted(column)}; it has {names}{hint}")
        if has.count(column) > 1:
            raise UserError(f"{name}: {has.count(column)} columns are called {quoted(column)}")


def _pieces(path: Path, kind: str) -> Iterator[pd.DataFrame]:
    if kind == "parquet":
        yield from _parquet(path)
    else:
        with _opened(path) as file:
            yield from _json_lines(file) if kind == "jsonl" else _delimited(file, kind)


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    table = open_parquet(path)
    groups = (table.metadata.row_group(index) for index in range(table.num_row_groups))
    _check_growth(path, sum(group.total_byte_size for group in groups))
    for batch in table.iter_batches(PIECE):
        batch.validate(full=True)  # that text is UTF-8, too
        yield batch.to_pandas(ignore_metadata=True)


def _delimited(file: IO[bytes], kind: str) -> Iterator[pd.DataFrame]:
    # Everything as text: a review "NA" or "1.0" is a text, and labels are compared by value. The
    # header is read as a row: from a header, pandas takes a row that is longer for one with a
    # name, and a column that is there twice for two.
    pieces = pd.read_csv(
        file,
        sep="\t" if kind == "tsv" else ",",
        header=None,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        chunksize=PIECE,
        skip_blank_lines=False,
    )
    header = None
    for piece in pieces:
        rows = piece if header else piece.iloc[1:]
        header = header or piece.iloc[0].tolist()
        yield rows.set_axis(header, axis=1)


def _json_lines(file: IO[bytes]) -> Iterator[pd.DataFrame]:
    rows = _json_rows(file)
    while piece := list(islice(rows, PIECE)):
        yield pd.DataFrame(piece, dtype=object)


def _json_rows(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        if not text.strip():
            continue
        try:
            row = json.loads(text, object_pairs_hook=_object)
        except RecursionError:
            raise ValueError(f"line {number} is nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not an object in braces")
        yield row


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands there twice")
    return content


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked."""
    kind = path.suffix.lower()
    if kind == ".gz":
        with gzip.open(path) as packed:
            yield io.BufferedReader(_Watched(packed, path))
    elif kind == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_only_file(archive)) as packed:
            yield io.BufferedReader(_Watched(packed, path))
    else:
        with path.open("rb") as file:
            yield file


class _Watched(io.RawIOBase):
    """What a packed file unpacks to; a ValueError once that is too much."""

    def __init__(self, packed: io.BufferedIOBase | IO[bytes], path: Path) -> None:
        self.packed = packed
        self.path = path
        self.unpacked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.packed.read(len(buffer))
        buffer[: len(block)] = block
        self.unpacked += len(block)
        _check_growth(self.path, self.unpacked)
        return len(block)


def _check_growth(path: Path, unpacked: int) -> None:
    if unpacked > max(FREE_GROWTH, GROWTH * path.stat().st_size):
        raise ValueError(
            f"it unpacks to more than {GROWTH} times its size (and {FREE_GROWTH >> 20} MB), "
            "as a bomb does: unpack it first if that is meant"
        )


def _only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [
        file
        for file in archive.infolist()
        if not file.is_dir() and not file.filename.startswith("__MACOSX/")
    ]
    if len(files) != 1:
        raise ValueError(f"it holds {len(files)} files: pack one table alone")
    path = PurePosixPath(files[0].filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"it holds {quoted(path)}, which leaves its folder")
    if files[0].flag_bits & 1:
        raise ValueError("it is encrypted: unpack it first")
    return files[0]


def _first_not_utf8(path: Path) -> int:
    """The number of the first line that is not UTF-8, or of the one after the last."""
    number = 1
    with _opened(path) as file, suppress(UnicodeDecodeError):
        for line in file:
            line.decode("utf-8")
            number += 1
    return number


def _reason(error: Exception) -> str:
    """Why a file can't be read, in the words of a library where they are clear."""
    reason = str(error).partition("\n")[0].rstrip(". ") or type(error).__name__
    if isinstance(error, pd.errors.EmptyDataError):
        return "it is empty"
    # pandas counts records, with the header: here from 0, there from 1.
    if found := re.search(r"EOF inside string starting at row (\d+)", reason):
        return f"in row {found[1]} (the header not counted) a quotation mark is opened, not closed"
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason):
        return (
            f"row {int(found[2]) - 1} (the header not counted) has {found[3]} columns, the header "
            f"{found[1]}: put a text with a separator in it in quotation marks"
        )
    return reason
