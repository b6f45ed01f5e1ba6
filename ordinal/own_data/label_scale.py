"""Find the order of the labels in a file, other spellings of them, and bins for numbers."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key
from ordinal.common.ratings import rating_of
from ordinal.common.types import Floats
from ordinal.data.inference import nearest_whole, stray_numbers
from ordinal.data.label_reader import LabelReader
from ordinal.own_data.guess import order_of, value_of

Label = int | str
MOST_NUMBERS = 21  # half steps from 0 to 10; more different numbers are put into bins
TOPS = (5, 10, 100)  # usual highest numbers
BINS = 5


@dataclass(frozen=True)
class Scale:
    """The labels of a file, lowest first, and what else its label column may contain."""

    labels: list[Label]
    map: dict[Label, Label] = field(default_factory=dict)
    bins: list[float] | None = None

    def counts(self, classes: Mapping[str, int]) -> dict[str, int]:
        """Return the rows per label, given the rows per spelling."""
        reader = LabelReader(self.labels, self.map, self.bins)
        rows: Counter[int] = Counter()
        for key, count in classes.items():
            if reading := reader.read(key):
                rows[reading.label] += count
        return {str(label): rows[place] for place, label in enumerate(self.labels)}


def find_scale(
    classes: Mapping[str, int],
    labels: Sequence[Label] | None,
    spellings: Mapping[Label, Label] | None = None,
    column: str = "the label column",
    first_rows: Mapping[str, int] | None = None,
) -> Scale | None:
    """Return the labels of a file in their order, or None if the order is not known.

    Args:
        classes: Rows per spelling in the file.
        labels: The labels from lowest to highest, if they are given.
        spellings: Other spellings of labels that are given.
        column: The name of the column for error messages.
        first_rows: The number of the first row with each spelling, for error messages.

    Raises:
        UserError: ratings are on different scales, or next to words; or a number between whole
            ones is too rare, see `stray_numbers`.
    """
    given = dict(spellings or {})
    mapped = {label_key(key) for key in given}
    rest = {key: count for key, count in classes.items() if key not in mapped}
    if labels is not None:
        return Scale(list(labels), given | _variants(rest, labels))
    scale = _scale_of(rest, column)
    if scale and not scale.bins:
        _refuse_stray(rest, column, first_rows or {})
    return scale and Scale(scale.labels, given | scale.map, scale.bins)


def _refuse_stray(classes: Mapping[str, int], column: str, first_rows: Mapping[str, int]) -> None:
    values = _values(classes)
    rows: Counter[float] = Counter()
    for key, value in values.items():
        rows[value] += classes[key]
    stray = stray_numbers(rows)
    for key, value in values.items():
        if value in stray:
            number = first_rows.get(key)
            first = f", first in row {number} (not counting the header)" if number else ""
            raise UserError(
                f"{column} has {quoted(key)} next to whole numbers, in {classes[key]} of "
                f"{rows.total()} rows{first}: correct it, say which label it means with --map "
                f"'{key}={nearest_whole(value, rows)}', or list all labels from lowest to highest "
                "with --labels"
            )


def _scale_of(classes: Mapping[str, int], column: str) -> Scale | None:
    if scale := _in_bins(classes, column):
        return scale
    if labels := order_of(classes):
        return Scale(labels)
    if any(map(rating_of, classes)):
        return _of_ratings(classes, column)
    frequent = sorted(classes, key=lambda key: -classes[key])
    names = list({_folded(key): key for key in reversed(frequent)}.values())
    labels = order_of(names) if len(names) < len(classes) else None
    return Scale(labels, _variants(classes, labels)) if labels else None


def _folded(key: str) -> str:
    """Return a label without regard to case and spacing."""
    return " ".join(key.casefold().split())


def _variants(classes: Mapping[str, int], labels: Sequence[Label]) -> dict[Label, Label]:
    """Return spellings that differ from exactly one label only in case and spacing."""
    reader = LabelReader(labels)
    found: dict[str, list[Label]] = {}
    for label in labels:
        found.setdefault(_folded(label_key(label)), []).append(label)
    return {
        as_label(key): found[_folded(key)][0]
        for key in classes
        if not reader.read(key) and len(found.get(_folded(key), [])) == 1
    }


def _values(classes: Iterable[str]) -> dict[str, float]:
    """Return the number of each spelling that is one, or a rating."""
    return {key: value for key in classes if (value := value_of(key)) is not None}


def _of_ratings(classes: Mapping[str, int], column: str) -> Scale:
    """Return the numbers of ratings as labels, with a map for ratings that they do not include.

    Raises:
        UserError: there are words next to the ratings, or ratings on different scales.
    """
    values = _values(classes)
    if words := [key for key in classes if key not in values]:
        example = next(filter(rating_of, classes))
        raise UserError(
            f"{column} has {quoted(words[0])} next to {quoted(example)}: {_say(words[0], values)}"
        )
    _refuse_other_scales(values, column)
    label_of = {key: _number_in(key) for key in classes}
    labels = sorted(dict.fromkeys(label_of.values()), key=float)
    reader = LabelReader(labels)
    return Scale(labels, {as_label(key): label_of[key] for key in classes if not reader.read(key)})


def _number_in(key: str) -> Label:
    rating = rating_of(key)
    return as_label(rating.key if rating else key)


def _refuse_other_scales(values: Mapping[str, float], column: str) -> None:
    scales = {key: rating.scale for key in values if (rating := rating_of(key)) and rating.scale}
    first = next(iter(scales), None) or max(values, key=values.__getitem__)
    top = scales.get(first, values[first])
    for key, value in values.items():
        if value > top or scales.get(key, top) != top:
            raise UserError(
                f"{column} has {quoted(first)} next to {quoted(key)}, which is on another scale: "
                f"{_say(key, values)}"
            )


def _say(key: str, values: Mapping[str, float]) -> str:
    label = f"{next(iter(values.values())):g}"
    return (
        f"say which label it means with --map '{key}={label}', or list all labels from lowest to "
        "highest with --labels"
    )


def _in_bins(classes: Mapping[str, int], column: str) -> Scale | None:
    """Return bins for many different numbers from 0 to 100, or None if there are none.

    Raises:
        UserError: there are numbers above the highest of the ratings.
    """
    values = _values(classes)
    scales = {rating.scale for rating in map(rating_of, classes) if rating}
    if len(values) < len(classes) or not _are_scores(values.values(), scales):
        return None
    if scales:
        _refuse_other_scales(values, column)
    rows = np.repeat([*values.values()], [*classes.values()])
    edges = _edges(rows, next(iter(scales), None))
    if len(edges) < 3:
        return None
    bins = [int(edge) if edge.is_integer() else edge for edge in edges]
    return Scale(list(range(1, len(bins))), bins=bins)


def _are_scores(numbers: Collection[float], scales: Collection[int | None]) -> bool:
    """Return whether there are many different numbers from 0 to 100.

    Args:
        numbers: The numbers.
        scales: The highest number of each rating, of which there may be one; None if not known.
    """
    if len(set(numbers)) <= MOST_NUMBERS or len(scales) > 1 or None in scales:
        return False
    return min(numbers) >= 0 and max(numbers) <= TOPS[-1]


def _edges(rows: Floats, highest: int | None) -> list[float]:
    """Return the edges of `BINS` bins of equal width, or with about as many rows if one is empty.

    Args:
        rows: The numbers, shape (rows,).
        highest: The highest number of the scale, or None to choose one of `TOPS`.
    """
    top = highest or next(top for top in TOPS if rows.max() <= top)
    equal = np.linspace(0, top, BINS + 1)
    if np.histogram(rows, equal)[0].all():
        return [float(edge) for edge in equal]
    inner = np.quantile(rows, np.arange(1, BINS) / BINS, method="higher")
    last = highest or rows.max()
    return sorted({float(edge) for edge in (rows.min(), *inner, last)})
