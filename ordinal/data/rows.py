"""Rules for the rows of a table of labelled reviews, shared by everything that reads one."""

import reprlib
from collections.abc import Collection, Iterable, Sequence, Sized
from datetime import date, datetime, time
from decimal import Decimal

from ordinal.common.columns import join_texts
from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import label_key, list_labels

BLANK = "blank rows"
NO_LABEL = "rows without a label"
NO_TEXT = "rows without a text"
MAX_CELL = 1 << 26  # characters; a longer cell is an error in the file
MAX_CLASSES = 1000  # a column with more different values is hardly a column of labels
# fmt: off
MISSING = frozenset({
    "-", "--", "---", "–", "—", "?", ".", "n/a", "#n/a", "na", "n.a.", "nan", "<na>", "null",
    "none", "nil", "\\n", "missing", "unknown",
})
# fmt: on
"""Spellings of a missing label, in lower case. Texts may be any of them."""


def is_blank(cell: object) -> bool:
    """Return whether a cell is empty, NaN, or only white space."""
    if isinstance(cell, str):
        return not cell.strip()
    # Only NaN, of any of these types, differs from itself.
    return cell is None or (isinstance(cell, float | Decimal | datetime) and bool(cell != cell))


def is_blank_row(row: Iterable[object]) -> bool:
    """Return whether all cells of a row are blank."""
    return all(map(is_blank, row))


def is_spelled_missing(label: str, known: Collection[str] = ()) -> bool:
    """Return whether a label is one of the usual spellings of "there is none", such as N/A.

    It is not if the label is `known`. Nor is a label of signs next to other labels of signs.
    """
    if label.casefold() not in MISSING or label in known:
        return False
    return not (_is_of_signs(label) and any(map(_is_of_signs, known)))


def _is_of_signs(label: str) -> bool:
    return not label.strip("+-–—")


def lacks_label(cell: object, known: Collection[str] = ()) -> bool:
    """Return whether a label is blank, or spelled as missing."""
    return is_blank(cell) or (isinstance(cell, str) and is_spelled_missing(label_key(cell), known))


def what_is_missing(text: object, label: object, known: Collection[str] = ()) -> str | None:
    """Return how a row is counted that lacks its text, its label or both, or None."""
    if lacks_label(label, known):
        return BLANK if is_blank(text) else NO_LABEL
    return NO_TEXT if is_blank(text) else None


def wrong_type(cell: object) -> str | None:
    """Return what a cell that is neither text, number nor truth value holds, and what to do."""
    if isinstance(cell, bytes):
        return "bytes: decode the column, for example with .str.decode('utf-8') of pandas"
    if isinstance(cell, dict):
        return "an object: move its values to columns of their own"
    if isinstance(cell, date | time):
        return "a date or time: choose another column, or write it as text"
    if not isinstance(cell, str) and isinstance(cell, Sized):
        return f"a list of {len(cell)} values: keep one value per row"
    return None


def unreadable(cell: object) -> str | None:
    """Return why a cell is not usable text, or None."""
    if is_blank(cell):
        return "has no text: fill or remove it"
    if not isinstance(cell, str):
        no_text = f"{reprlib.repr(cell)}, which is not text: convert the column to text"
        return f"holds {wrong_type(cell) or no_text}"
    try:
        cell.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is not a character: remove it"
    return None


def text_problem(cell: object) -> str | None:
    """Return why a cell can't be the text of a review, or None.

    A NUL character in a review is refused: it comes from another kind of file more likely than from
    a text.
    """
    if isinstance(cell, str) and "\0" in cell:
        return "has a NUL character: remove it"
    return unreadable(cell)


def join_cells(cells: Sequence[object]) -> object:
    """Return the text of a row from its text columns: one cell, or several that are joined.

    Blank cells are left out. A cell that is not text is returned instead of the text.
    """
    if len(cells) == 1:
        return cells[0]
    filled = [cell for cell in cells if not is_blank(cell)]
    texts = [cell for cell in filled if isinstance(cell, str)]
    if len(texts) < len(filled):
        return next(cell for cell in filled if not isinstance(cell, str))
    return join_texts(texts) or None


def column_of(cells: Sequence[object], columns: Sequence[str]) -> str:
    """Return the text column whose cell makes `join_cells` unusable, or all if they are blank."""
    for column, cell in zip(columns, cells, strict=True):
        if not is_blank(cell) and text_problem(cell):
            return quoted(column)
    return " + ".join(map(quoted, columns))


def label_problem(cell: object, known: Collection[str]) -> str | None:
    """Return why a cell is none of the labels whose keys are `known`, or None."""
    if lacks_label(cell, known):
        spelled = "" if is_blank(cell) else f" ({quoted(cell)})"
        problem = f"the label is empty{spelled}: fill it, or set data.missing to drop such rows"
    elif wrong := wrong_type(cell):
        return f"holds {wrong}"
    elif label_key(cell) not in known:
        problem = f"{quoted(cell)} is not a known label"
    else:
        return None
    return f"{problem}; known are {list_labels(list(known))}"


def refuse_many_classes(count: int, source: str, column: str, advice: str) -> None:
    """Pass if a label column has at most `MAX_CLASSES` different values.

    Raises:
        UserError: it has more. The sentence ends with `advice`.
    """
    if count > MAX_CLASSES:
        raise UserError(
            f"{source}: column {quoted(column)} has more than {MAX_CLASSES} different values: "
            f"{advice}"
        )


def row_of(source: str, number: int) -> str:
    """Return the name of a row for an error message; `number` counts from 1."""
    return f"{source}, row {number} (not counting the header)"
