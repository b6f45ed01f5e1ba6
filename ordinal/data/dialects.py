"""Find out how the lines of a table are separated and quoted, from its first lines.

Every separator is tried with every way of quoting. A way fits if it reads the sample without an
error, and if each row has as many cells as the header.
"""

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

from ordinal.common.errors import UserError
from ordinal.common.formats import SEPARATOR_NAMES, Quoting, advice, name_of_separator
from ordinal.data.delimited import Lines, dialect, line_end, with_line_ends, wrong_escape
from ordinal.data.headers import name_key, titles_before, width_of
from ordinal.data.rows import is_blank, is_blank_row

USUAL = {"csv": ",", "tsv": "\t", "tab": "\t", "txt": "\t"}
"""Separators by the ending of the file's name, for tables that several fit, or none."""
EXCEL_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)
ESCAPE = re.compile(r'(?<!\\)(?:\\\\)*\\[",;\t|\r\n]')
MOST = 0.9  # share of the rows; some may lack their last cells


@dataclass(frozen=True)
class Sample:
    """The first lines of a text."""

    lines: list[str]
    is_whole: bool
    """True if these are all lines."""
    end: str
    """The line end."""

    @cached_property
    def has_marks(self) -> bool:
        """True if a line contains a quotation mark."""
        return any('"' in line for line in self.lines)

    @cached_property
    def has_escapes(self) -> bool:
        """True if a backslash may escape the character after it."""
        return any("\\" in line and ESCAPE.search(line) for line in self.lines)

    @classmethod
    def of(cls, text: str, is_whole: bool) -> "Sample":
        """Split a text into lines, without the last one if the text is cut within it."""
        end = line_end(text)
        *whole, last = text.split(end)
        lines = [f"{line}{end}" for line in whole]
        if last and (is_whole or not lines):
            lines.append(last)
        return cls(lines, is_whole, end)


@dataclass(frozen=True)
class Reading:
    """One way to read a sample."""

    separator: str
    quoting: Quoting
    rows: list[list[str]]
    """From the header on."""
    skip: int
    """Lines before the header."""
    is_broken: bool
    """True if the parser failed before the end, or a backslash escapes nothing."""
    rival: Quoting | None = None
    """Another way of quoting that fits, and gives other texts."""

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.rows[0]) if self.rows else 0

    @property
    def fitting(self) -> float:
        """Share of the rows that are as wide as the header; 0 if one is wider."""
        widths = [len(row) for row in self.rows if not is_blank_row(row)]
        if not widths or max(widths) > self.width:
            return 0.0
        return widths.count(self.width) / len(widths)

    def has(self, columns: Sequence[str] | None) -> bool:
        """Return whether the header names these columns."""
        return set(map(name_key, columns or ())) <= set(map(name_key, self.rows[0]))

    @property
    def fits(self) -> bool:
        """True if the parser succeeded, and all rows are as wide as the header."""
        return not self.is_broken and self.fitting == 1

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Greater for the better of two readings with different separators."""
        return (self.width > 1, self.skip == 0 and self.fitting > 0.5, self.fits)


def choose_reading(
    sample: Sample, fixed: dict[str, Any], name: str, columns: Sequence[str] | None, source: str
) -> Reading:
    """Return the way to read a sample.

    Args:
        sample: The first lines of the file.
        fixed: The fields of the format that are known.
        name: The name of the uncompressed file, whose ending decides if several separators fit.
        columns: Columns that will be read, or None.
        source: The name of the file, for error messages.

    Raises:
        UserError: several ways fit.
    """
    before, separator = _excel_line(sample, fixed)
    separators = [separator] if separator else list(SEPARATOR_NAMES.values())
    readings = [
        _choose_quoting(_Attempt(sample, before, separator, fixed, columns))
        for separator in separators
    ]
    reading = _choose_separator(readings, USUAL.get(name.rpartition(".")[2]), columns, source)
    if reading.rival:
        raise UserError(
            f"{source}: it is not clear whether backslashes escape quotation marks: if they do, "
            f"{advice('quoting', 'backslash')}; if not, {advice('quoting', reading.quoting)}"
        )
    return reading


def _excel_line(sample: Sample, fixed: dict[str, Any]) -> tuple[int, str | None]:
    """Return the number of lines up to one such as `sep=;`, and the separator, if it is known."""
    separator: str | None = fixed.get("separator")
    if "skip" in fixed:
        return fixed["skip"], separator
    for number, line in enumerate(sample.lines, 1):
        if found := EXCEL_LINE.fullmatch(line):
            return number, separator or found[1]
        if line.strip():
            break
    return 0, separator


def _choose_separator(
    readings: Sequence[Reading], usual: str | None, columns: Sequence[str] | None, source: str
) -> Reading:
    """Return the best reading. Those with the usual separator and the `columns` are preferred.

    Raises:
        UserError: several are equally good.
    """
    choices = _best_ranked(readings)
    if choices[0].width < 2:
        return _with_separator(choices, usual or ",")[0]
    choices = [reading for reading in choices if reading.has(columns)] or choices
    choices = _with_separator(choices, usual)
    if len(choices) > 1 and choices[0].fits:
        raise _unclear([name_of_separator(reading.separator) for reading in choices], source)
    return max(choices, key=attrgetter("fitting"))


def _unclear(separators: Sequence[str], source: str) -> UserError:
    return UserError(
        f"{source}: it is not clear whether its columns are separated by {' or '.join(separators)}:"
        f" {advice('separator', separators[0])}, or another"
    )


def _best_ranked(readings: Sequence[Reading]) -> Sequence[Reading]:
    best = max(reading.rank for reading in readings)
    return [reading for reading in readings if reading.rank == best]


def _with_separator(readings: Sequence[Reading], separator: str | None) -> Sequence[Reading]:
    """Return the readings with a separator, or all if none has it."""
    return [reading for reading in readings if reading.separator == separator] or readings


@dataclass(frozen=True)
class _Attempt:
    """A sample, what is known of its format, and a separator to try."""

    sample: Sample
    before: int
    """Lines that are not part of the table."""
    separator: str
    fixed: dict[str, Any]
    columns: Sequence[str] | None

    def read(self, quoting: Quoting) -> Reading:
        rows, ends, is_broken = self._parse(quoting)
        is_broken = is_broken or (quoting == "backslash" and self._has_wrong_escapes())
        titles = 0
        if "skip" not in self.fixed:
            titles = titles_before(rows, width_of(rows), self.columns)
        skip = self.before + (ends[titles - 1] if titles else 0)
        return Reading(self.separator, quoting, rows[titles:], skip, is_broken)

    def _parse(self, quoting: Quoting) -> tuple[list[list[str]], list[int], bool]:
        """Return the rows, the number of each row's last line, and whether the parser failed."""
        lines = Lines(self.sample.lines[self.before :], self.sample.end)
        rows: list[list[str]] = []
        ends: list[int] = []
        try:
            for row in csv.reader(iter(lines), **dialect(self.separator, quoting)):
                rows.append(with_line_ends(row) if lines.hides else row)
                ends.append(lines.number)
        except csv.Error as error:
            # The sample may end within a quoted text, but then most of it has been read.
            is_cut = not self.sample.is_whole and "end of data" in str(error)
            return rows, ends, not (is_cut and ends and ends[-1] > lines.number / 2)
        return rows, ends, False

    def _has_wrong_escapes(self) -> bool:
        return any(wrong_escape(line, self.separator) for line in self.sample.lines if "\\" in line)


def _choose_quoting(attempt: _Attempt) -> Reading:
    if "quoting" in attempt.fixed:
        return attempt.read(attempt.fixed["quoting"])
    standard = attempt.read("standard")
    if attempt.sample.has_escapes:
        backslash = attempt.read("backslash")
        if backslash.fits and backslash.rows != standard.rows:
            return _with_backslashes(attempt, standard, backslash)
    # Tables that are separated by tabs are often written without quoting, others hardly ever.
    if attempt.separator == "\t" and attempt.sample.has_marks:
        return _with_marks(standard, attempt.read("none"))
    return standard


def _with_marks(standard: Reading, literal: Reading) -> Reading:
    """Choose between quotation marks as quoting and as text."""
    if not literal.fits:
        return standard
    if standard.is_broken or standard.fitting < MOST:
        is_literal = not _are_mostly_wrapped(literal)
    else:
        is_literal = len(literal.rows) == len(standard.rows) and not _needs_marks(literal)
    return literal if is_literal else standard


def _with_backslashes(attempt: _Attempt, standard: Reading, backslash: Reading) -> Reading:
    """Choose between backslashes as escapes and as text."""
    if standard.fits:
        return replace(standard, rival="backslash")
    separator = re.escape(attempt.separator)
    in_marks = re.compile(rf'(?:^|{separator})"(?:[^"\\]|\\.)*\\"')
    if any(map(in_marks.search, attempt.sample.lines)):
        return backslash
    if backslash.width < 2:
        return standard
    literal = attempt.read("none")
    return replace(literal, rival="backslash") if literal.fits else backslash


def _cells_with_marks(reading: Reading) -> list[tuple[int, str]]:
    """Return the cells that contain a quotation mark, with the numbers of their columns."""
    cells = (cell for row in reading.rows for cell in enumerate(row))
    return [(column, cell.strip()) for column, cell in cells if '"' in cell]


def _is_wrapped(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _are_mostly_wrapped(literal: Reading) -> bool:
    """Return whether most cells with a quotation mark begin and end with one: they are quoted."""
    wrapped = [_is_wrapped(cell) for _, cell in _cells_with_marks(literal)]
    return sum(wrapped) > len(wrapped) / 2


def _needs_marks(literal: Reading) -> bool:
    """Return whether the marks around cells serve as quoting.

    They do if they protect other marks or line ends, or surround all cells of a column or its name.
    """
    cells = _cells_with_marks(literal)
    # With a single column, the separator is not known.
    protected = re.compile(r'""|[\r\n]' if literal.width > 1 else r'""|[\r\n,;\t|]')
    protects = any(protected.search(cell[1:-1]) for _, cell in cells if _is_wrapped(cell))
    return protects or _surround_columns(literal, {column for column, _ in cells})


def _surround_columns(literal: Reading, columns: Collection[int]) -> bool:
    """Return whether marks surround the name of a column, or all cells of each of `columns`."""
    header, *rows = literal.rows
    if any(map(_is_wrapped, header)):
        return True
    rows = [row for row in rows if not is_blank_row(row)]
    cells = (row[column] for row in rows for column in columns)
    return len(rows) > 1 and all(is_blank(cell) or _is_wrapped(cell) for cell in cells)
