"""Read JSON Lines, or one array of JSON objects, row by row."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TextIO

import pandas as pd

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import BLOCK
from ordinal.data.headers import column_names, name_key, refuse_missing
from ordinal.data.rows import MAX_CELL

WHITE = " \t\r\n"


def json_chunks(
    rows: Iterator[dict[str, Any]],
    size: int,
    columns: Sequence[str] | None,
    source: str,
    repairs: Counter[str],
    optional: Sequence[str] = (),
) -> Iterator[pd.DataFrame]:
    """Yield rows as tables of at most `size` rows. A key that a row lacks is a blank cell.

    Raises:
        UserError: the first chunk lacks one of `columns` that is not `optional`, or has it twice.
    """
    is_first = True
    while chunk := list(islice(rows, size)):
        keys = list(dict.fromkeys(chain.from_iterable(chunk)))
        names = column_names(keys, repairs if is_first else Counter())
        present = [
            name
            for name in columns or ()
            if name_key(name) in names or (is_first and name not in optional)
        ]
        refuse_missing(present, names, source)
        key_of = dict(zip(names, keys, strict=True))
        yield _table(chunk, key_of, names if columns is None else columns)
        is_first = False


def _table(
    rows: Sequence[dict[str, Any]], key_of: Mapping[str, str], columns: Sequence[str]
) -> pd.DataFrame:
    keys = [key_of.get(name_key(column), column) for column in columns]
    cells = {number: [row.get(key) for row in rows] for number, key in enumerate(keys)}
    return pd.DataFrame(cells, dtype=object).set_axis(list(columns), axis=1)


def rows_of_lines(file: TextIO, source: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of JSON Lines; blank lines are skipped.

    Raises:
        UserError: a line is not a JSON object.
    """
    for number, line in enumerate(file, 1):
        if text := line.removeprefix("\ufeff").strip(WHITE):
            with _explained(f"{source}, line {number}"):
                yield _checked(DECODER.decode(text))


def rows_of_array(file: TextIO, source: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON array, without reading all of it at once.

    Raises:
        UserError: the file is not one array of objects.
    """
    text = _Text(file)
    text.skip("\ufeff")
    text.skip("[")
    number = 1
    while text.next() != "]":
        with _explained(f"{source}, row {number}"):
            if number > 1 and not text.skip(","):
                raise ValueError("not valid JSON (no comma before it)")
            yield _checked(text.take())
        number += 1
    text.skip("]")
    if text.next():
        raise UserError(f"{source}: text after the end of the array")


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn the errors of a JSON parser into a UserError."""
    try:
        yield
    except RecursionError:
        raise UserError(f"{place}: JSON nested too deeply") from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg}: column {error.colno}"
        raise UserError(f"{place}: not valid JSON ({reason})") from None
    except ValueError as error:
        raise UserError(f"{place}: {error}") from None


def _checked(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object in braces")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f"duplicate key {quoted(key)}")
        content[key] = value
    return content


DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys)


class _Text:
    """The unread part of a text file, of which a piece is in memory."""

    def __init__(self, file: TextIO) -> None:
        self.file = file
        self.piece = ""
        self.start = 0

    def next(self) -> str:
        """Return the next character that is not white space, or "" at the end."""
        while True:
            while self.start < len(self.piece) and self.piece[self.start] in WHITE:
                self.start += 1
            if self.start < len(self.piece):
                return self.piece[self.start]
            self.piece, self.start = self.file.read(BLOCK), 0
            if not self.piece:
                return ""

    def skip(self, character: str) -> bool:
        """Move past a character if it is next."""
        found = self.next() == character
        self.start += found
        return found

    def take(self) -> Any:
        """Return the next value, and move past it."""
        self.next()
        size = BLOCK
        while True:
            try:
                value, self.start = DECODER.raw_decode(self.piece, self.start)
            except json.JSONDecodeError as error:
                more = self.file.read(size) if len(self.piece) < MAX_CELL else ""
                if not more:
                    raise ValueError(f"not valid JSON ({error.msg})") from None
                self.piece, self.start = self.piece[self.start :] + more, 0
                size *= 2  # so that a large value takes linear time
            else:
                return value
