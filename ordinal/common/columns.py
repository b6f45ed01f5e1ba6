"""Names of columns: those that parameters choose, and those that the pipeline writes."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from ordinal.common.errors import UserError, quoted

TEXT_SEPARATOR = "\n"
"""Separator of the texts of a row that has several, in training and in prediction."""
OWN_COLUMNS = ("row", "text", "label", "predicted", "low", "high")
"""Columns of the tables in data/, next to `probability_columns`."""
PART = "part"
"""Column of data/raw for the parts into which a source is split."""


def join_texts(texts: Iterable[str | None]) -> str:
    """Return the texts of one row as one text, without those that are missing or blank."""
    return TEXT_SEPARATOR.join(text for text in texts if text and text.strip())


def probability_columns(labels: Sequence[str]) -> list[str]:
    """Return the names of the K columns of probabilities."""
    return [f"p_{label}" for label in labels]


CORRECTION = "correction"
"""The column of an audit's table for labels by hand."""


def distinct_names(own: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names of a file's columns that follow our `own`; `_in_file` makes them differ."""
    taken = list(own)
    for name in names:
        while name in taken:
            name += "_in_file"
        taken.append(name)
    return taken[len(own) :]


def refuse_own_columns(keep: Sequence[str], labels: Sequence[str], has_parts: bool) -> None:
    """Pass if no column to keep has the name of a column that the pipeline writes.

    Args:
        keep: The columns to keep.
        labels: The labels, as written in the names of the columns of probabilities.
        has_parts: Whether the source is split, so that there is a column `part`.

    Raises:
        UserError: a column has such a name.
    """
    own = (*OWN_COLUMNS, *probability_columns(labels), *([PART] if has_parts else []))
    if clash := [name for name in keep if name in own]:
        raise UserError(
            f"column {quoted(clash[0])} can't be kept, because the pipeline writes a column of "
            "this name: rename it in the file"
        )


def as_list(columns: str | list[str]) -> list[str]:
    """Return the names of one or several columns."""
    return [columns] if isinstance(columns, str) else columns


def _one_or_several(value: Any) -> Any:
    """Check one name of a column, or a list of them. A list of one becomes the name."""
    if not isinstance(value, list):
        return _name(value)
    names = _several(value)
    if not names:
        raise ValueError("the list names no column")
    return names[0] if len(names) == 1 else names


def _several(value: Any) -> Any:
    if not isinstance(value, list):
        raise PydanticKnownError("list_type")
    names = [_name(name) for name in value]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{quoted(twice[0])} is listed twice")
    return names


def _name(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # of a table without a header
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    return value


TextColumns = Annotated[str | list[str], BeforeValidator(_one_or_several)]
"""The text column, or several, whose texts are joined in this order."""
ColumnNames = Annotated[list[str], BeforeValidator(_several)]
