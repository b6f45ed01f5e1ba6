"""Find ids, groups, dates, given parts and more texts in the other columns of a file."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from ordinal.common.columns import OWN_COLUMNS, PART
from ordinal.common.errors import UserError
from ordinal.common.labels import NUMBER, label_key
from ordinal.common.parts import part_of
from ordinal.data.dates import times_of
from ordinal.data.rows import is_blank
from ordinal.own_data.guess import value_of

# fmt: off
GROUP_NAMES = frozenset({
    "account", "author", "buyer", "client", "clients", "customer", "customers", "member", "patient",
    "person", "reviewer", "user", "users", "username",
})
TIME_NAMES = frozenset({"created", "date", "day", "time", "timestamp", "year"})
# fmt: on
LONGEST_ID = 40  # characters
FEWEST_ROWS = 20  # fewer say little about a column
TEXT_WORDS = 1.5  # mean words per cell of a column of texts


class Columns(NamedTuple):
    """The columns of a file that are neither its text nor its label, by their use."""

    ids: tuple[str, ...] = ()
    """A different value in each row."""
    group: str | None = None
    """Ids that come back, as of customers."""
    time: str | None = None
    """Dates or times."""
    part: str | None = None
    """The names of train, validation and test."""
    texts: tuple[str, ...] = ()
    """Texts next to the text column, such as titles."""

    def without(self, used: Sequence[str]) -> "Columns":
        """Return the columns that are not used as text or label."""
        return Columns(
            ids=tuple(name for name in self.ids if name not in used),
            group=None if self.group in used else self.group,
            time=None if self.time in used else self.time,
            part=None if self.part in used else self.part,
            texts=tuple(name for name in self.texts if name not in used),
        )


def find_columns(sample: pd.DataFrame) -> Columns:
    """Return the use of the columns of a file, judged by its first rows."""
    found: dict[str, list[str]] = {}
    for name in map(str, sample.columns):
        if use := _use_of(name, list(sample[name])):
            found.setdefault(use, []).append(name)
    groups = sorted(found.get("group", []), key=lambda name: GROUP_NAMES.isdisjoint(_words(name)))
    return Columns(
        ids=tuple(found.get("id", ())),
        group=next(iter(groups), None),
        time=next(iter(found.get("time", ())), None),
        part=next(iter(found.get("part", ())), None),
        texts=tuple(found.get("text", ())),
    )


def _words(name: str) -> set[str]:
    """Return the words of a column's name: of "customerId" and "customer_id" the same."""
    return set(re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).casefold()))


def _use_of(name: str, cells: list[object]) -> str | None:
    if len(cells) < FEWEST_ROWS:
        return None
    filled = [cell for cell in cells if not is_blank(cell)]
    texts = [str(cell).strip() for cell in filled]
    is_full = len(filled) == len(cells)
    if is_full and _are_parts(texts):
        return "part"
    if _are_times(name, filled):
        return "time"
    if _are_texts(filled):
        return "text"
    return _id_or_group(name, texts) if is_full else None


def _are_parts(texts: Sequence[str]) -> bool:
    parts = set(map(part_of, texts))
    return None not in parts and {"train", "test"} <= parts


def _are_times(name: str, filled: Sequence[object]) -> bool:
    """Return whether all cells are dates or times. Numbers are, if the column's name says so."""
    if not filled:
        return False
    are_numbers = all(
        isinstance(cell, int | float) or NUMBER.fullmatch(str(cell)) for cell in filled
    )
    if are_numbers and TIME_NAMES.isdisjoint(_words(name)):
        return False
    try:
        times_of(filled, str)
    except (UserError, OverflowError):
        return False
    return True


def _are_texts(filled: Sequence[object]) -> bool:
    texts = [cell for cell in filled if isinstance(cell, str)]
    words = sum(len(text.split()) for text in texts)
    return len(texts) == len(filled) and words > TEXT_WORDS * len(texts)


def _id_or_group(name: str, texts: Sequence[str]) -> str | None:
    if max(map(len, texts)) > LONGEST_ID or name in (*OWN_COLUMNS, PART):
        return None
    if len(set(texts)) == len(texts):
        return "id" if _are_ids(name, texts) else None
    return "group" if _are_groups(name, texts) else None


def _are_ids(name: str, texts: Sequence[str]) -> bool:
    """Return whether different values are ids, and not measurements such as 3.25."""
    are_decimals = all("." in text and NUMBER.fullmatch(text) for text in texts)
    return not are_decimals and ("id" in _words(name) or _have_digits(texts))


def _are_groups(name: str, texts: Sequence[str]) -> bool:
    """Return whether values that come back are ids of groups, judged by the column's name first."""
    values = set(texts)
    if not GROUP_NAMES.isdisjoint(_words(name)):
        return len(values) > 2
    are_numbers = None not in map(value_of, map(label_key, values))
    look_like_ids = "id" in _words(name) or (_have_digits(texts) and not are_numbers)
    return look_like_ids and FEWEST_ROWS <= len(values) < 0.9 * len(texts)


def _have_digits(texts: Sequence[str]) -> bool:
    return all(re.search(r"[0-9]", text) for text in texts)
