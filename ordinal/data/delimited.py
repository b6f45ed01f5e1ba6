"""Read the rows of a table of lines and separators, such as CSV, so that nothing gets lost.

Python's csv module parses the lines, in its strict mode. What it would drop or change in silence is
refused here: carriage returns within a line, backslashes that escape nothing, and quoted texts that
swallow rows. In the end, the lines are counted.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ordinal.common.errors import UserError, quoted
from ordinal.common.formats import Format, Quoting, advice
from ordinal.common.labels import label_key, number_of
from ordinal.data.headers import MAX_VALUES, SAMPLE_ROWS, column_names, numbered
from ordinal.data.rows import MAX_CELL, row_of

csv.field_size_limit(MAX_CELL)  # the default would refuse a text of 131,073 characters

MARKS = "double each mark within a quoted text, or, if the marks belong to the texts, " + advice(
    "quoting", "none"
)

# Placeholders for line ends within a line, which the csv module refuses outside quotation marks. No
# decoded text has half of a surrogate pair.
HIDDEN = {"\r": "\udc0d", "\n": "\udc0a"}


def line_end(sample: str) -> str:
    """Return the character that ends the lines of a text: a carriage return on old Macs only."""
    found = re.search(r"\r*\n|\r", sample)
    return "\r" if found and found[0] == "\r" else "\n"


def dialect(separator: str, quoting: Quoting) -> dict[str, Any]:
    """Return the arguments of `csv.reader`."""
    if quoting == "none":
        return {"delimiter": separator, "quoting": csv.QUOTE_NONE, "quotechar": None}
    if quoting == "backslash":
        escapes = {"doublequote": False, "escapechar": "\\"}
        return {"delimiter": separator, "strict": True, **escapes}
    return {"delimiter": separator, "strict": True}


def wrong_escape(line: str, separator: str) -> str | None:
    """Return a backslash of a line and what follows, if it escapes nothing that needs it."""
    allowed = rf'[\\"{re.escape(separator)}\r\n{"".join(HIDDEN.values())}]'
    found = re.search(rf"(?<!\\)(?:\\\\)*(\\(?!{allowed}).?)", line)
    return found[1] if found else None


class Lines:
    """The lines of a text for `csv.reader`, counted."""

    def __init__(self, lines: Iterable[str], end: str) -> None:
        self.lines = iter(lines)
        self.end = end
        self.number = 0
        """Lines so far."""
        self.current: list[str] = []
        """Lines since the caller last emptied the list."""
        self.hides = False
        """True once a line end within a line was replaced by a character of `HIDDEN`."""
        self.removed = 0
        """Carriage returns that end lines in a file whose first line ends without one."""
        self.has_returns: bool | None = None

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.number += 1
            if self.end == "\r" or "\r" in line:
                line = self._clean(line)
            elif self.has_returns is None:
                self.has_returns = False
            self.current.append(line)
            yield line

    def _clean(self, line: str) -> str:
        if self.end == "\r":
            body, end = line.removesuffix("\r"), line[-1:] if line.endswith("\r") else ""
        else:
            body = line.rstrip("\r\n")
            end = line[len(body) :]
            if self.has_returns is None:
                self.has_returns = "\r" in end
            self.removed += "\r" in end and not self.has_returns
        hidden = body.replace("\r", HIDDEN["\r"]).replace("\n", HIDDEN["\n"])
        self.hides = self.hides or hidden != body
        return hidden + end


def with_line_ends(cells: Sequence[str]) -> list[str]:
    """Return cells with their line ends."""
    return [cell.replace(HIDDEN["\r"], "\r").replace(HIDDEN["\n"], "\n") for cell in cells]


class DelimitedTable:
    """An open table: the names of its columns, and its rows."""

    def __init__(self, lines: Lines, found: Format, source: str, repairs: Counter[str]) -> None:
        self.lines = lines
        self.format = found
        self.source = source
        self.repairs = repairs
        self.read = 0
        """Rows so far, without the header."""
        self.line_ends = 0
        """Line ends within the cells so far."""
        numbers = iter(lines)
        self.before = sum(1 for _ in islice(numbers, found.skip))
        """Lines before the first row."""
        self.reader = csv.reader(numbers, **dialect(found.separator, found.quoting))
        self.names: list[str] = []
        self.waiting: list[str] | None = None
        first = self._next()
        if first is None:
            raise UserError(f"{source}: it has no rows")
        if found.header == "first":
            self.names = column_names(first, repairs)
            self.before = lines.number
            self.line_ends = 0
        else:
            self.names = numbered(len(first))
            self.waiting = first
        if self.format.skip:
            repairs["lines skipped before the header"] += self.format.skip

    def chunks(self, size: int, may_swallow: bool) -> Iterator[list[list[str | None]]]:
        """Yield the rows in lists, each row as wide as the header.

        Args:
            size: Rows per list.
            may_swallow: Accept quoted texts whose lines look like rows of their own.

        Raises:
            UserError: a row is too long, its quotation marks are not clear, or rows were lost.
        """
        values: list[_Values] | None = None
        while True:
            rows, long_rows = self._chunk(size)
            if not rows:
                break
            if not may_swallow:
                values = values or [
                    _Values(column) for column in zip(*rows[:SAMPLE_ROWS], strict=True)
                ]
                for number, lines in long_rows.items():
                    if looks_like_rows(lines, self.format.separator, values):
                        raise UserError(self._swallowed(number, len(lines)))
            yield rows
        self._count_lines()
        if self.lines.removed:
            self.repairs["carriage returns removed from ends of lines"] += self.lines.removed

    def _chunk(self, size: int) -> tuple[list[list[str | None]], dict[int, list[str]]]:
        """Return the next rows, and the lines of those of several lines by the row's number."""
        rows: list[list[str | None]] = []
        long_rows = {}
        while len(rows) < size and (row := self._next()) is not None:
            self.read += 1
            if len(self.lines.current) > 1:
                long_rows[self.read] = self.lines.current.copy()
            rows.append(row if len(row) == len(self.names) else self._filled(row))  # type: ignore[arg-type]
        return rows, long_rows

    def _next(self) -> list[str] | None:
        if self.waiting is not None:
            row, self.waiting = self.waiting, None
            return row
        lines = self.lines.current
        lines.clear()
        try:
            row = next(self.reader)
        except StopIteration:
            return None
        except csv.Error as error:
            raise UserError(f"{self._place()} {_reason(error)}") from None
        if self.format.quoting == "backslash":
            self._check_escapes()
        if self.lines.hides:
            row = with_line_ends(row)
        if len(lines) > 1:
            self.line_ends += sum(cell.count(self.lines.end) for cell in row)
        return row

    def _filled(self, row: list[str]) -> list[str | None]:
        width = len(self.names)
        if len(row) > width:
            raise UserError(
                f"{row_of(self.source, self.read)} has {len(row)} columns, the header has {width}: "
                "put texts that contain the separator in quotation marks"
            )
        if row:
            self.repairs["rows with too few columns"] += 1
        return [*row, *[None] * (width - len(row))]

    def _check_escapes(self) -> None:
        for line in self.lines.current:
            if "\\" in line and (wrong := wrong_escape(line, self.format.separator)):
                raise UserError(
                    f"{self._place()} has {quoted(wrong)}, and only quotation marks, backslashes, "
                    "separators and line ends are escaped by a backslash: double the backslash"
                )

    def _place(self) -> str:
        return row_of(self.source, self.read + 1) if self.names else f"{self.source}: the header"

    def _swallowed(self, number: int, lines: int) -> str:
        return (
            f"{row_of(self.source, number)}: a text in quotation marks runs over {lines} lines, "
            "each of which looks like a row of its own: if the marks belong to the texts, "
            f"{advice('quoting', 'none')}; if it is one text, {advice('quoting', 'standard')}"
        )

    def _count_lines(self) -> None:
        """Compare the number of lines with the rows and the line ends within them."""
        lines = self.before + self.read + self.line_ends
        if lines != self.lines.number:
            raise UserError(
                f"{self.source}: {self.read} rows with {lines} lines in all were read from "
                f"{self.lines.number} lines: some of them got lost, so please report this file"
            )


class _Values:
    """The values of a column in a sample, if they are numbers or a few values that repeat."""

    def __init__(self, cells: Sequence[str | None]) -> None:
        keys = [label_key(cell) for cell in cells if cell]
        self.values = set(keys)
        self.are_numbers = bool(keys) and all(number_of(key) is not None for key in self.values)
        self.are_known = self.are_numbers or 0 < len(self.values) <= min(MAX_VALUES, len(keys) / 2)

    def has(self, cell: str) -> bool:
        key = label_key(cell.strip().strip('"'))
        return number_of(key) is not None if self.are_numbers else key in self.values


def looks_like_rows(lines: Sequence[str], separator: str, columns: Sequence[_Values]) -> bool:
    """Return whether each line of a row of several lines looks like a row of its own.

    It has the number of separators of a row. Texts with commas may have that by chance, so the
    values have to be those of their columns, too.
    """
    rows = [line.rstrip("\r\n").split(separator) for line in lines]
    if len(columns) < 2 or any(len(row) != len(columns) for row in rows):
        return False
    return separator == "\t" or _have_values_of(columns, rows)


def _have_values_of(columns: Sequence[_Values], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether columns with known values exist, and all rows have such values there."""
    known = [(number, column) for number, column in enumerate(columns) if column.are_known]
    return bool(known) and all(column.has(row[number]) for row in rows for number, column in known)


def _reason(error: csv.Error) -> str:
    """Return why a row can't be read, in plainer words than those of the csv module."""
    if "end of data" in str(error):
        return f"has a quotation mark that is never closed: {MARKS}"
    if "field limit" in str(error):
        size = f"{MAX_CELL >> 20} million characters"
        return f"has a quotation mark that is not closed within {size}: {MARKS}"
    return f"has text after a closing quotation mark: {MARKS}"
