"""Read the labels of a table: as they are listed, mapped, put into bins, or written as ratings."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from ordinal.common.errors import quoted
from ordinal.common.labels import label_key, number_of
from ordinal.common.ratings import Rating, rating_of
from ordinal.data.rows import label_problem, lacks_label, wrong_type


class Reading(NamedTuple):
    """The class of a label, and how it was found."""

    label: int
    """Its place in the list of labels."""
    repair: str | None = None
    """The kind of repair that is counted, or None if the label is listed."""


class LabelReader:
    """The rules by which the cells of a label column are labels.

    A cell is one of these, in this order:

    - a spelling in `map`;
    - with `bins`, a number in one of them;
    - a listed label, see `label_key`;
    - if all labels are numbers, a rating such as "4 stars" or "4/5", see `rating_of`. The scale,
      here 5, must be the highest label.

    Args:
        labels: The K labels, lowest first.
        spellings: Other spellings of labels.
        bins: K + 1 ascending numbers. A label is for numbers from its edge up to the next one; the
            last edge belongs to the last label.
    """

    def __init__(
        self,
        labels: Sequence[int | str],
        spellings: Mapping[int | str, int | str] | None = None,
        bins: Sequence[float] | None = None,
    ) -> None:
        self.labels = labels
        self.bins = bins
        index = {label_key(label): number for number, label in enumerate(labels)}
        self._mapped = {
            label_key(key): index[label_key(label)] for key, label in (spellings or {}).items()
        }
        self._index = {} if bins else index
        self._top = max(bins) if bins else _highest(index)
        self.known = [*self._index, *self._mapped]
        """All spellings that are listed."""
        self._read_text = lru_cache(1 << 12)(self._read)  # few texts, which come back

    def read(self, cell: object) -> Reading | None:
        """Return the class of a cell, or None if it is none of the labels."""
        return self._read_text(cell) if isinstance(cell, str) else self._read(cell)

    def _read(self, cell: object) -> Reading | None:
        if lacks_label(cell, self.known) or wrong_type(cell):
            return None
        key = label_key(cell)
        if key in self._mapped:
            return Reading(self._mapped[key], "labels mapped")
        if key in self._index:
            return Reading(self._index[key])
        rating = rating_of(key)
        return self._bin(key) if rating is None else self._read_rating(rating)

    def _read_rating(self, rating: Rating) -> Reading | None:
        if self._top is None or rating.scale not in (None, self._top):
            return None
        if self.bins:
            return self._bin(rating.key)
        label = self._index.get(rating.key)
        return None if label is None else Reading(label, f"labels read from {rating.form}")

    def _bin(self, key: str) -> Reading | None:
        number = number_of(key)
        if not self.bins or number is None or not self.bins[0] <= number <= self.bins[-1]:
            return None
        index = bisect_right(self.bins, number) - 1
        return Reading(min(index, len(self.labels) - 1), "labels put into bins")

    def problem(self, cell: object) -> str:
        """Return why a cell is none of the labels, and what to do."""
        found = label_problem(cell, self.known)
        if found and "is not a known label" not in found:
            return found
        rating = rating_of(label_key(cell))
        if rating and rating.scale and self._top is not None and rating.scale != self._top:
            return (
                f"{quoted(cell)} is out of {rating.scale}, but the highest number is "
                f"{self._top:g}: say in data/catalog.yaml which label it is, such as "
                f"`map: {{{label_key(cell)}: {self.labels[0]}}}`"
            )
        if self.bins:
            return f"{quoted(cell)} is not a number from {self.bins[0]:g} to {self.bins[-1]:g}"
        return found or f"{quoted(cell)} is not a known label"


def _highest(keys: Iterable[str]) -> float | None:
    """Return the highest label if all of them are numbers."""
    numbers = [number_of(key) for key in keys]
    found = [number for number in numbers if number is not None]
    return max(found) if len(found) == len(numbers) else None
