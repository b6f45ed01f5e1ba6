"""Guesses about a table: its text column, its label column, and the order of the labels."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, number_of
from ordinal.common.ratings import rating_of
from ordinal.data.headers import MAX_VALUES, refuse_missing
from ordinal.data.rows import is_blank, is_spelled_missing, wrong_type

# fmt: off
LABEL_NAMES = frozenset({
    "class", "grade", "label", "labels", "level", "priority", "rating", "ratings", "score",
    "sentiment", "severity", "star", "stars", "target", "urgency",
})
# fmt: on
SCALES = (
    ("none", "very low", "low", "medium", "high", "very high", "critical"),
    ("low", "medium", "high", "urgent"),
    ("low", "normal", "high", "urgent"),
    ("none", "minimal", "mild", "moderate", "severe", "critical"),
    ("low", "moderate", "high"),
    ("trivial", "minor", "major", "critical", "blocker"),
    ("very poor", "poor", "fair", "good", "very good", "excellent"),
    ("very bad", "bad", "average", "good", "very good", "excellent"),
    ("very negative", "negative", "neutral", "positive", "very positive"),
    ("neg", "neutral", "pos"),
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("easy", "medium", "hard"),
    ("small", "medium", "large"),
    ("beginner", "elementary", "intermediate", "advanced", "expert"),
    ("a1", "a2", "b1", "b2", "c1", "c2"),
    ("---", "--", "-", "0", "+", "++", "+++"),
)
"""Labels whose order is common knowledge, from lowest to highest."""


def guess_columns(
    sample: pd.DataFrame, text: str | None, label: str | None, path: Path
) -> list[str]:
    """Return the text column, the label column, and other columns that could hold the labels.

    The text column has the longest texts on average. A label column has few different values; best
    are a name such as "rating" and labels whose order is known.

    Args:
        sample: The first rows of the table.
        text: The text column, or None to guess it.
        label: The label column, or None to guess it.
        path: The file, for error messages.

    Raises:
        UserError: a given column is missing, or no column fits.
    """
    given = [name for name in (text, label) if name is not None]
    refuse_missing(given, list(sample.columns), str(path))
    columns = {str(name): list(values) for name, values in sample.items()}
    if text is None:
        text = _guess_text({name: columns[name] for name in columns if name != label}, path)
    if label is not None:
        return [text, label]
    return [text, *_guess_label({name: columns[name] for name in columns if name != text}, path)]


def _guess_text(columns: Mapping[str, Sequence[object]], path: Path) -> str:
    lengths = {
        name: sum(len(str(cell)) for cell in cells if not is_blank(cell))
        for name, cells in columns.items()
        if all(isinstance(cell, str) or is_blank(cell) for cell in cells)
    }
    if not any(lengths.values()):
        wrong = ", ".join(_types(columns))
        has = f" ({wrong})" if wrong else ""
        raise UserError(f"{path}: no column holds text{has}: name one with --text")
    return max(lengths, key=lambda name: lengths[name])


def _types(columns: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """Yield what columns hold whose cells are neither text nor numbers."""
    for name, cells in columns.items():
        cell = next((cell for cell in cells if not is_blank(cell)), None)
        if wrong := wrong_type(cell):
            yield f"{quoted(name)} holds {wrong}"


def _guess_label(columns: Mapping[str, Sequence[object]], path: Path) -> list[str]:
    """Return the columns that could hold the labels, the likeliest first."""
    ranks = {name: rank for name, cells in columns.items() if (rank := _rank(name, cells))}
    if not ranks:
        has = ", ".join(map(quoted, columns)) or "no other column"
        raise UserError(
            f"{path}: no column looks like labels (2 to {MAX_VALUES} different values, in two "
            f"rows or more each); it also has {has}: name the column of the labels with --label"
        )
    return sorted(ranks, key=lambda name: ranks[name])


def _rank(name: str, cells: Sequence[object]) -> tuple[bool, bool, int, int] | None:
    """Return how far down a column is in the list of label columns, or None if it is not one."""
    if any(map(wrong_type, cells)):
        return None
    keys = [label_key(cell) for cell in cells if not is_blank(cell)]
    classes = real_labels(set(keys))
    rows = sum(key in classes for key in keys)
    has_label_name = not LABEL_NAMES.isdisjoint(re.split(r"[\W_]+", name.casefold()))
    has_order = order_of(classes) is not None or None not in map(value_of, classes)
    is_score = has_label_name and has_order and len(classes) > MAX_VALUES
    if is_score or 2 <= len(classes) <= min(MAX_VALUES, rows / 2):
        return not has_label_name, not has_order, -rows, len(classes)
    return None


def real_labels(keys: Collection[str]) -> set[str]:
    """Return labels without those that are a spelling of a missing label.

    All of them are real if they are numbers or part of a scale, such as "none", "low" and "high".
    """
    known = {key for key in keys if order_of(keys) or not is_spelled_missing(key)}
    return {key for key in keys if not is_spelled_missing(key, known)}


def value_of(key: str) -> float | None:
    """Return the number of a label that is one, or a rating such as "4/5"; otherwise None."""
    rating = rating_of(key)
    return number_of(rating.key if rating else key)


def order_of(classes: Collection[str]) -> list[int | str] | None:
    """Return labels in ascending order, or None if it is not known.

    The order is known of numbers, and of labels that are all in one of `SCALES`.
    """
    numbers = {key: number for key in classes if (number := number_of(key)) is not None}
    if len(numbers) == len(classes):
        return [as_label(key) for key in sorted(numbers, key=lambda key: numbers[key])]
    return _order_in_scale(classes)


def _order_in_scale(classes: Collection[str]) -> list[int | str] | None:
    # "very-good" and "Very_Good" are "very good", but "--" and "-" stay two labels.
    words = {re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", key.casefold()): key for key in classes}
    scale = next((scale for scale in SCALES if words.keys() <= set(scale)), None)
    if scale is None or len(words) < len(classes):
        return None
    return [as_label(words[word]) for word in scale if word in words]
