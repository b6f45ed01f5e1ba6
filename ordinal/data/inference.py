"""Find the labels of a data set that has no entry in the catalog: numbers and ratings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, number_of
from ordinal.common.ratings import rating_of
from ordinal.data.reviews import Source
from ordinal.data.rows import lacks_label, refuse_many_classes, row_of, wrong_type
from ordinal.data.tables import read_table

ENTRY = "an entry of data/catalog.yaml, which `ordinal new-data` writes"
COMMON = 0.01  # of the rows


class _Found(NamedTuple):
    """A label and the cell in which it was first."""

    label: int | str
    number: float
    cell: object
    row: str
    scale: int | None


def infer_labels(path: Path | Sequence[Path], column: str) -> list[int | str]:
    """Return the labels in the label column of one file or of several; see `labels_of`."""
    paths = [path] if isinstance(path, Path) else path
    return labels_of(
        [Source(str(file), read_table(file, [column], str(file))) for file in paths], column
    )


def labels_of(sources: Sequence[Source], column: str) -> list[int | str]:
    """Return the numbers in a label column, in ascending order.

    They are whole numbers or half steps, also in ratings such as "4 stars" and "4/5".

    Raises:
        UserError: a label is no such number, so the order of the labels is unknown; a half step is
            too rare, see `stray_numbers`; there are ratings on several scales; or the column has
            too few or too many labels.
    """
    found: dict[object, _Found] = {}
    rows: Counter[float] = Counter()
    for source in sources:
        _collect(source, column, found, rows)
    labels = {rating.label: rating.number for rating in found.values()}
    if len(labels) < 2:
        has = f"only the label {next(iter(labels))}" if labels else "no label"
        raise UserError(
            f"{sources[0].name}: column {quoted(column)} has {has}: at least 2 are needed"
        )
    _refuse_other_scales(list(found.values()))
    _refuse_stray(list(found.values()), rows)
    return sorted(labels, key=lambda label: labels[label])


def _collect(
    source: Source, column: str, found: dict[object, _Found], rows_of: Counter[float]
) -> None:
    """Add the labels of a source to `found`, by their spelling, and their rows to `rows_of`."""
    rows = 0
    for chunk in source.chunks:
        for number, cell in enumerate(chunk[column], rows + 1):
            is_hashable = isinstance(cell, str | int | float)
            rating = found.get(cell) if is_hashable else None
            if rating is None and not lacks_label(cell):
                rating = _read(cell, row_of(source.name, number))
                found.setdefault(cell if is_hashable else rating.label, rating)
            if rating is not None:
                rows_of[rating.number] += 1
        rows += len(chunk)
        advice = "set data.label to the column of the labels"
        refuse_many_classes(
            len({label for label, *_ in found.values()}), source.name, column, advice
        )
    if rows == 0:
        raise UserError(f"{source.name} has no rows")


def _read(cell: object, row: str) -> _Found:
    if wrong := wrong_type(cell):
        raise UserError(f"{row}: the label holds {wrong}")
    key, scale = label_key(cell), None
    if rating := rating_of(key):
        key, scale = rating.key, rating.scale
    number = number_of(key)
    if number is None:
        raise UserError(
            f"{row}: label {quoted(cell)} is not a whole number, so the order of the labels is "
            f"unknown: list them from lowest to highest in {ENTRY}"
        )
    if not (2 * number).is_integer():
        raise UserError(
            f"{row}: label {quoted(cell)} is neither a whole number nor a half step: list the "
            f"labels, or `bins` for the numbers, in {ENTRY}"
        )
    return _Found(as_label(key), number, cell, row, scale)


def _refuse_other_scales(found: Sequence[_Found]) -> None:
    """Pass if all ratings such as "4/5" are out of the highest label.

    Raises:
        UserError: they are not.
    """
    top = max(found, key=lambda rating: rating.number)
    for rating in found:
        if rating.scale not in (None, top.number):
            raise UserError(
                f"{rating.row}: label {quoted(rating.cell)} is out of {rating.scale}, but the "
                f"highest label is {quoted(top.cell)}: list the labels in {ENTRY}, and what other "
                f"spellings mean, such as `map: {{{label_key(rating.cell)}: {rating.label}}}`"
            )


def stray_numbers(rows: Mapping[float, int]) -> list[float]:
    """Return the numbers between whole ones, if too few rows have them to be labels of their own.

    On a scale of half steps, many rows have one. If it is only one row, or less than 1 % of them,
    these are more likely slips or averages.

    Args:
        rows: Rows per number.
    """
    between = [number for number in rows if not number.is_integer()]
    count = sum(rows[number] for number in between)
    is_rare = count == 1 or count < COMMON * sum(rows.values())
    return between if is_rare and len(between) < len(rows) else []


def nearest_whole(number: float, rows: Mapping[float, int]) -> int:
    """Return the whole number among the keys of `rows` that is nearest, the higher one of two."""
    whole = [int(other) for other in rows if other.is_integer()]
    return min(whole, key=lambda other: (abs(other - number), -other))


def _refuse_stray(found: Sequence[_Found], rows: Mapping[float, int]) -> None:
    """Pass if no label is one of the `stray_numbers`.

    Raises:
        UserError: one is.
    """
    stray = stray_numbers(rows)
    for rating in found:
        if rating.number in stray:
            count = sum(rows[number] for number in stray)
            raise UserError(
                f"{rating.row}: label {quoted(rating.cell)} is between whole numbers, and only "
                f"{count} of {sum(rows.values())} rows have such a label: correct it, or list the "
                f"labels in {ENTRY}, with `map: {{'{label_key(rating.cell)}': "
                f"{nearest_whole(rating.number, rows)}}}` if it means another label"
            )
