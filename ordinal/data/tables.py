"""Read tables in chunks: CSV, TSV, JSON Lines or Parquet. No file is trusted to be well formed."""

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
from ordinal.common.files import ROWS_PER_CHUNK, is_html
from ordinal.common.parquet import open_parquet

KINDS = ("csv", "tsv", "jsonl", "parquet")
SEPARATED = {
    "csv": " (the columns of a .csv are separated by commas)",
    "tsv": " (the columns of a .tsv are separated by tabs)",
}
# A compressed file may unpack to MAX_GROWTH times its size, but at least to FREE_GROWTH bytes.
MAX_GROWTH = 100
FREE_GROWTH = 64 << 20


def read_table(path: Path, columns: Sequence[str] | None, name: str) -> Iterator[pd.DataFrame]:
    """Yield a table in chunks of at most `ROWS_PER_CHUNK` rows.

    Args:
        path: CSV, TSV or JSON Lines, each also compressed (.gz, .zip), or Parquet.
        columns: The columns to return, in this order; None returns all.
        name: The name of the file in error messages, since `path` may be a temporary file.

    Raises:
        UserError: the file can't be read as its name says, or one of `columns` is missing or
            duplicated.
    """
    kind = kind_of(path)
    if kind not in KINDS:
        raise UserError(f"{name}: unknown kind of file: use .csv, .tsv, .jsonl or .parquet")
    if is_html(path):
        raise UserError(f"{name} is an HTML page, not a table: download the file itself")
    try:
        for chunk in _chunks(path, kind, name):
            _check_columns(list(chunk.columns), columns or (), kind, name)
            yield chunk if columns is None else chunk[list(columns)]
    except UnicodeDecodeError:
        line = _first_not_utf8(path)
        raise UserError(f"{name}, line {line}: not UTF-8: save the file as UTF-8") from None
    except (
        ValueError,
        OSError,
        EOFError,
        NotImplementedError,  # a compression method that zipfile doesn't know
        lzma.LZMAError,
        zipfile.BadZipFile,
        zlib.error,
        pa.ArrowException,
    ) as error:
        raise UserError(f"{name}: can't be read as {kind}: {_reason(error)}") from None


def kind_of(path: Path) -> str:
    """Return the ending of a table's name without .gz or .zip; see `KINDS`."""
    return path.name.lower().removesuffix(".gz").removesuffix(".zip").rpartition(".")[2]


def _check_columns(has: list[object], wanted: Sequence[str], kind: str, name: str) -> None:
    for column in wanted:
        if column not in has:
            names = ", ".join(quoted(column) for column in has[:20])
            hint = SEPARATED.get(kind, "") if len(has) == 1 else ""
            raise UserError(f"{name}: no column {quoted(column)}; it has {names}{hint}")
        if has.count(column) > 1:
            raise UserError(
                f"{name}: {has.count(column)} columns are named {quoted(column)}: rename one"
            )


def _chunks(path: Path, kind: str, name: str) -> Iterator[pd.DataFrame]:
    if kind == "parquet":
        yield from _parquet(path)
    else:
        with _opened(path) as file:
            yield from _json_lines(file, name) if kind == "jsonl" else _delimited(file, kind)


def _parquet(path: Path) -> Iterator[pd.DataFrame]:
    table = open_parquet(path)
    groups = (table.metadata.row_group(index) for index in range(table.num_row_groups))
    _check_growth(path, sum(group.total_byte_size for group in groups))
    for batch in table.iter_batches(ROWS_PER_CHUNK):
        batch.validate(full=True)  # also checks that texts are UTF-8
        yield batch.to_pandas(ignore_metadata=True)


def _delimited(file: IO[bytes], kind: str) -> Iterator[pd.DataFrame]:
    # Every cell is read as text, since "NA" and "1.0" are valid reviews. The header is read as a
    # row: given a header, pandas takes the first cell of a longer row for an index, and renames a
    # column that is there twice.
    chunks = pd.read_csv(
        file,
        sep="\t" if kind == "tsv" else ",",
        header=None,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        chunksize=ROWS_PER_CHUNK,
        skip_blank_lines=False,
    )
    header = None
    for chunk in chunks:
        rows = chunk if header else chunk.iloc[1:]
        header = header or chunk.iloc[0].tolist()
        yield rows.set_axis(header, axis=1)


def _json_lines(file: IO[bytes], name: str) -> Iterator[pd.DataFrame]:
    rows = _json_rows(file, name)
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        yield pd.DataFrame(chunk, dtype=object)


def _json_rows(file: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        if not text.strip():
            continue
        try:
            row = json.loads(text, object_pairs_hook=_unique_keys)
        except RecursionError:
            raise UserError(f"{name}, line {number}: JSON nested too deeply") from None
        except json.JSONDecodeError as error:
            reason = f"{error.msg}: column {error.colno}"
            raise UserError(f"{name}, line {number}: not valid JSON ({reason})") from None
        except ValueError as error:
            raise UserError(f"{name}, line {number}: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{name}, line {number}: not an object in braces")
        yield row


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"duplicate key {quoted(key)}")
        content[key] = value
    return content


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Yield the content of a file, decompressed."""
    kind = path.suffix.lower()
    if kind == ".gz":
        with gzip.open(path) as unpacked:
            yield io.BufferedReader(_Limited(unpacked, path))
    elif kind == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(_only_file(archive)) as unpacked:
            yield io.BufferedReader(_Limited(unpacked, path))
    else:
        with path.open("rb") as file:
            yield file


class _Limited(io.RawIOBase):
    """The content of a compressed file; raises a ValueError once it is too large."""

    def __init__(self, unpacked: io.BufferedIOBase | IO[bytes], path: Path) -> None:
        self.unpacked = unpacked
        self.path = path
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.unpacked.read(len(buffer))
        buffer[: len(block)] = block
        self.size += len(block)
        _check_growth(self.path, self.size)
        return len(block)


def _check_growth(path: Path, unpacked: int) -> None:
    if unpacked > max(FREE_GROWTH, MAX_GROWTH * path.stat().st_size):
        raise ValueError(
            f"it unpacks to more than {MAX_GROWTH} times its size and {FREE_GROWTH >> 20} MB, "
            "like a decompression bomb: unpack it first if this is intended"
        )


def _only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [
        file
        for file in archive.infolist()
        if not file.is_dir() and not file.filename.startswith("__MACOSX/")
    ]
    if len(files) != 1:
        raise ValueError(f"it contains {len(files)} files: put exactly one table in it")
    path = PurePosixPath(files[0].filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"it contains {quoted(path)}, a path outside its folder")
    if files[0].flag_bits & 1:
        raise ValueError("it is encrypted: unpack it first")
    return files[0]


def _first_not_utf8(path: Path) -> int:
    """Return the number of the first line that is not UTF-8, or the number after the last line."""
    number = 1
    with _opened(path) as file, suppress(UnicodeDecodeError):
        for line in file:
            line.decode("utf-8")
            number += 1
    return number


def _reason(error: Exception) -> str:
    """Return why a file can't be read, in a library's words unless they are unclear."""
    reason = str(error).partition("\n")[0].rstrip(". ") or type(error).__name__
    if isinstance(error, pd.errors.EmptyDataError):
        return "it is empty"
    # pandas counts the header as a row. The first message counts from 0, the second from 1.
    if found := re.search(r"EOF inside string starting at row (\d+)", reason):
        return f"row {found[1]} (not counting the header) has a quotation mark that is never closed"
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", reason):
        return (
            f"row {int(found[2]) - 1} (not counting the header) has {found[3]} columns, the header "
            f"has {found[1]}: put texts that contain the separator in quotation marks"
        )
    return reason
