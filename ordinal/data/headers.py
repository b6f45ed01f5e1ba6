"""The header of a table: where it is, whether it is one, and the names of the columns."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from ordinal.common.errors import UserError, quoted
from ordinal.common.formats import advice
from ordinal.common.labels import label_key, number_of
from ordinal.data.rows import is_blank_row, is_spelled_missing, lacks_label

SAMPLE_ROWS = 1000  # first rows of a table, which show its header and the values of its columns
MAX_TITLES = 20  # lines before the header
MAX_VALUES = 20  # different values in a column that looks like labels
LONG_NAME = 100  # characters


def name_key(name: object) -> str:
    """Return the name of a column, by which columns are compared."""
    return unicodedata.normalize("NFC", "" if name is None else str(name)).strip()


def column_names(row: Iterable[object], repairs: Counter[str]) -> list[str]:
    """Return the names in a header; names with spaces around them are counted in `repairs`."""
    cells = ["" if cell is None else str(cell) for cell in row]
    if stripped := sum(cell != cell.strip() for cell in cells):
        repairs["column names stripped of spaces"] += stripped
    return [name_key(cell) for cell in cells]


def numbered(width: int) -> list[str]:
    """Return the names of the columns of a table without a header."""
    return [str(number) for number in range(1, width + 1)]


def refuse_missing(columns: Sequence[str], names: Sequence[str], source: str) -> None:
    """Pass if a table with these names has each of `columns` once.

    Raises:
        UserError: a column is missing or duplicated.
    """
    for column in columns:
        count = names.count(name_key(column))
        if count > 1:
            raise UserError(f"{source}: {count} columns are named {quoted(column)}: rename one")
        if count == 0:
            has = ", ".join(quoted(name) for name in names[:20])
            raise UserError(f"{source}: no column {quoted(column)}; it has {has}")


def width_of(rows: Sequence[Sequence[object]]) -> int:
    """Return the most frequent number of cells in a row, of rows that are not blank."""
    counts = Counter(len(row) for row in rows if not is_blank_row(row))
    return max(counts, key=lambda width: (counts[width], width), default=0)


def titles_before(
    rows: Sequence[Sequence[object]], width: int, columns: Sequence[str] | None
) -> int:
    """Return the number of rows before the header: blank rows, and titles of one cell.

    Args:
        rows: The first rows of a table.
        width: The number of columns of the table.
        columns: Names of columns; a row with one of them is the header.
    """
    wanted = set(map(name_key, columns or ()))
    first = rows[:MAX_TITLES]
    for number, row in enumerate(first):
        is_title = _is_title(row, width) and wanted.isdisjoint(map(name_key, row))
        if not (is_title or is_blank_row(row)):
            return number
    return len(first)


def _is_title(row: Sequence[object], width: int) -> bool:
    """Return whether a row has one cell, or only its first of more than two cells is filled."""
    is_first_only = not is_blank_row(row[:1]) and is_blank_row(row[1:])
    return is_first_only and (len(row) == 1 < width or len(row) == width > 2)


def choose_header(
    names: Sequence[object],
    rows: Sequence[Sequence[object]],
    columns: Sequence[str] | None,
    source: str,
) -> str:
    """Return "first" if the first row names the columns, or "none".

    Args:
        names: The first row.
        rows: The rows that follow.
        columns: The columns to be read, or None. Numbers say that there is no header, unless they
            are names of columns.
        source: The name of the file, for error messages.

    Raises:
        UserError: the first row looks like data.
    """
    value = _value_among_names(names, rows)
    if value is None:
        return "first"
    is_number = [column in numbered(len(names)) for column in columns or ()]
    if is_number and all(is_number) and set(columns or ()).isdisjoint(map(name_key, names)):
        return "none"
    raise UserError(
        f"{source}: the first row looks like data, not like names of columns ({value}): if the "
        f"table has no header, {_no_header()}, and name its columns by number; otherwise "
        f"{advice('header', 'first')}"
    )


def _no_header() -> str:
    return f"{advice('header', 'none')}, or --header none"


def _value_among_names(names: Sequence[object], rows: Sequence[Sequence[object]]) -> str | None:
    """Return why the first row looks like data, or None if it looks like names of columns."""
    keys = [name_key(name) for name in names]
    if keys in (numbered(len(keys)), [str(number) for number in range(len(keys))]):
        return None  # as pandas names columns
    doubts = []
    for column, name in enumerate(keys):
        looks = _looks_like(name, _values_in(rows, column))
        if looks == "name":
            return None
        if looks == "value":
            doubts.append(f"{quoted(name)} is like the values in column {column + 1}")
    long = (f"{quoted(name)} is a long text" for name in keys if len(name) > LONG_NAME)
    return next(iter(doubts), None) or next(long, None)


def _values_in(rows: Sequence[Sequence[object]], column: int) -> Counter[str]:
    """Return the number of rows of each value in a column, without missing values."""
    cells = (label_key(row[column]) for row in rows if column < len(row))
    return Counter(cell for cell in cells if cell and not is_spelled_missing(cell))


def _looks_like(name: str, values: Counter[str]) -> str | None:
    """Return "name" or "value" if the values of a column say what the cell above them is."""
    if lacks_label(name):
        return None
    if values and all(number_of(value) is not None for value in values):
        return "name" if number_of(label_key(name)) is None else "value"
    if 0 < len(values) <= min(MAX_VALUES, values.total() / 2):
        if label_key(name) in values:
            return "value"
        return "name" if values.total() >= 4 * len(values) else None
    return None
