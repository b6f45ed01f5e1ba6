"""Read the texts to predict, in chunks, from arguments, a file, or stdin."""

import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from ordinal.common.errors import UserError
from ordinal.common.formats import Format
from ordinal.data.tables import KINDS, kind_of, read_table

ROWS_PER_CHUNK = 2048  # texts in memory at once, which are sorted by length together


@dataclass(frozen=True)
class TextSource:
    """Texts to predict, in chunks."""

    name: str
    """Used in error messages."""
    chunks: Iterator[Sequence[object]]
    """The cells of the text column; not every cell is usable text."""


def choose_texts(
    arguments: Sequence[str],
    column: str | None,
    out: Path | None,
    stdin: TextIO | None,
    fixed: Format | None = None,
) -> TextSource:
    """Read the `column` of the one file named in `arguments`, the arguments, or lines of `stdin`.

    Raises:
        UserError: there is a column without a single file, an argument is a file or folder, there
            is no stdin, or `out` is the file that is read.
    """
    if column:
        if len(arguments) != 1:
            raise UserError("--text names the column of one file: add the name of that file")
        path = Path(arguments[0])
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file in it")
        if out and out.resolve() == path.resolve():
            raise UserError(f"--out {out} is the file with the texts: choose another name")
        return TextSource(str(path), texts_of_file(path, column, fixed))
    if arguments:
        _refuse_paths(arguments)
        return TextSource("arguments", iter([arguments]))
    if stdin is None:
        raise UserError("stdin is closed: give texts as arguments, or a file with --text")
    return TextSource("stdin", texts_of_lines(stdin.buffer))


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


def texts_of_file(
    path: Path, column: str, fixed: Format | None = None
) -> Iterator[Sequence[object]]:
    """Yield the cells in the text column of a table, `ROWS_PER_CHUNK` at a time.

    What was repaired in the table is reported on stderr at the end.

    Args:
        path: The table.
        column: The text column.
        fixed: Fields of the table's format; the others are detected.

    Raises:
        UserError: the file is missing, can't be read without loss, or lacks the column.
    """
    if not path.exists():
        raise UserError(f"{path} is missing: --text names the column of a file")
    repairs: Counter[str] = Counter()
    for table in read_table(path, [column], str(path), fixed, repairs):
        cells = table[column].tolist()
        yield from (
            cells[start : start + ROWS_PER_CHUNK] for start in range(0, len(cells), ROWS_PER_CHUNK)
        )
    for repair, number in repairs.items():
        tqdm.write(f"{path}: {repair}: {number}", file=sys.stderr)


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
