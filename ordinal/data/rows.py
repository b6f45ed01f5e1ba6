"""Rules for the rows of a table of labelled reviews, shared by everything that reads one."""

import math
from collections.abc import Collection

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import label_key, list_labels

MAX_CLASSES = 1000  # a column with more different values is hardly a column of labels
# fmt: off
MISSING = frozenset({
    "-", "--", "---", "–", "—", "?", ".", "n/a", "#n/a", "na", "n.a.", "nan", "<na>", "null",
    "none", "nil", "\\n", "missing", "unknown",
})
# fmt: on
"""Spellings of a missing label, in lower case. Texts may be any of them."""


def is_blank(cell: object) -> bool:
    """Return whether a cell is missing, NaN, or only white space."""
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def is_spelled_missing(label: str) -> bool:
    """Return whether a label is one of the usual spellings of "there is none", such as N/A."""
    return label.casefold() in MISSING


def is_blank_row(text: object, label: object) -> bool:
    """Return whether a row has neither a text nor a label."""
    return is_blank(text) and is_blank(label)


def is_incomplete(text: object, label: object) -> bool:
    """Return whether the text, the label or both are missing."""
    return is_blank(text) or is_blank(label) or not isinstance(text, str)


def unreadable(cell: object) -> str | None:
    """Return why a cell is not usable text, or None."""
    if is_blank(cell) or not isinstance(cell, str):
        return "has no text: fill or remove it"
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


def label_problem(cell: object, known: Collection[str]) -> str | None:
    """Return why a cell is none of the labels whose keys are `known`, or None."""
    if is_blank(cell):
        problem = "the label is empty"
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
