"""Find the order of the labels in a file, other spellings of them, and bins for numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key
from ordinal.common.ratings import rating_of
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
) -> Scale | None:
    """Return the labels of a file in their order, or None if the order is not known.

    Args:
        classes: Rows per spelling in the file.
        labels: The labels from lowest to highest, if they are given.
        spellings: Other spellings of labels that are given.
        column: The name of the column for error messages.

    Raises:
        UserError: ratings are on different scales, or next to words.
    """
    given = dict(spellings or {})
    mapped = {label_key(key) for key in given}
    rest = {key: count for key, count in classes.items() if key not in mapped}
    if labels is not None:
        return Scale(list(labels), given | _variants(rest, labels))
    scale = _scale_of(rest, column)
    return scale and Scale(scale.labels, given | scale.map, scale.bins)


def _scale_of(classes: Mapping[str, int], column: str) -> Scale | None:
    if scale := _in_bins(classes):
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


def _of_ratings(classes: Mapping[str, int], column: str) -> Scale:
    values = {key: value for key in classes if (value := value_of(key)) is not None}
    ratings = {key: rating for key in classes if (rating := rating_of(key))}
    example = next(iter(ratings))
    for key in classes:
        if key not in values:
            raise UserError(
                f"{column} has {quoted(key)} next to {quoted(example)}: {_say(key, values)}"
            )
    highest = max(values, key=values.__getitem__)
    scaled = {key: rating.scale for key, rating in ratings.items() if rating.scale}
    first = next(iter(scaled), highest)
    top = scaled.get(first, values[highest])
    for key in classes:
        if values[key] > top or scaled.get(key, top) != top:
            raise UserError(
                f"{column} has {quoted(first)} next to {quoted(key)}, which is on another scale: "
                f"{_say(key, values)}"
            )
    labels = {
        as_label(rating.key if (rating := ratings.get(key)) else key): values[key]
        for key in classes
    }
    ordered = sorted(labels, key=labels.__getitem__)
    reader = LabelReader(ordered)
    by_value = {value: label for label, value in labels.items()}
    return Scale(
        ordered, {as_label(key): by_value[values[key]] for key in classes if not reader.read(key)}
    )


def _say(key: str, values: Mapping[str, float]) -> str:
    label = f"{next(iter(values.values())):g}"
    return (
        f"say which label it means with --map '{key}={label}', or list all labels from lowest to "
        "highest with --labels"
    )


def _in_bins(classes: Mapping[str, int]) -> Scale | None:
    """Return bins for many different numbers from 0 to 100, or None if there are none."""
    found = {key: value_of(key) for key in classes}
    values = {key: value for key, value in found.items() if value is not None}
    ratings = [rating for key in classes if (rating := rating_of(key))]
    scales = {rating.scale for rating in ratings}
    numbers = list(values.values())
    if len(values) < len(classes) or len(set(numbers)) <= MOST_NUMBERS or len(scales) > 1:
        return None
    if min(numbers) < 0 or max(numbers) > TOPS[-1] or None in scales:
        return None
    top = scales.pop() if scales else next(top for top in TOPS if max(numbers) <= top)
    edges = [float(edge) for edge in np.linspace(0, top or 0, BINS + 1)]
    rows = np.repeat(numbers, list(classes.values()))
    if not np.histogram(rows, edges)[0].all():
        shares = np.arange(1, BINS) / BINS
        inner = np.quantile(rows, shares, method="higher").tolist()
        last = float(top) if ratings and top else float(rows.max())
        edges = sorted({float(rows.min()), *inner, last})
    if len(edges) < 3:
        return None
    plain = [int(edge) if edge.is_integer() else edge for edge in edges]
    return Scale(list(range(1, len(edges))), bins=plain)
