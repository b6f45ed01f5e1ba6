"""Guesses about a table: which columns hold the text and the labels, and the labels' order."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, number_of
from ordinal.data.reviews import is_blank

MAX_GUESSED = 20  # a column of more different values is not taken for the labels

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
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("easy", "medium", "hard"),
    ("small", "medium", "large"),
    ("beginner", "elementary", "intermediate", "advanced", "expert"),
    ("a1", "a2", "b1", "b2", "c1", "c2"),
)
"""Words whose order goes without saying, from lowest to highest."""


def guess_columns(
    sample: pd.DataFrame, text: str | None, label: str | None, path: Path
) -> list[str]:
    """The text column, the label column, and other columns that would do for the label.

    Text is what is longest on average; labels are few, named as labels are, and of a known order.

    Raises:
        UserError: in the first rows of `path` no column will do, or the named one is missing.
    """
    for given in (text, label):
        if given is not None and given not in sample.columns:
            has = ", ".join(quoted(name) for name in sample.columns[:20])
            raise UserError(f"{path}: no column {quoted(given)}; it has {has}")
    columns = {
        name: list(values)
        for name, values in sample.items()
        if isinstance(name, str) and values.map(pd.api.types.is_scalar).all()
    }
    if text is None:
        lengths = {
            name: sum(len(value) for value in values if not is_blank(value))
            for name, values in columns.items()
            if name != label and all(isinstance(value, str) or is_blank(value) for value in values)
        }
        if not any(lengths.values()):
            raise UserError(f"{path}: no column holds text: name one with --text")
        text = max(lengths, key=lambda name: lengths[name])
    if label is not None:
        return [text, label]
    fit: dict[str, tuple[bool, bool, int, int]] = {}
    for name, values in columns.items():
        keys = [label_key(value) for value in values if not is_blank(value)]
        classes = set(keys)
        if name != text and 2 <= len(classes) <= min(MAX_GUESSED, len(keys) / 2):
            other = LABEL_NAMES.isdisjoint(re.split(r"[\W_]+", name.casefold()))
            fit[name] = (other, order_of(classes) is None, -len(keys), len(classes))
    if not fit:
        raise UserError(
            f"{path}: no column has 2 to {MAX_GUESSED} different values, as labels would: "
            "name the column of the labels with --label"
        )
    return [text, *sorted(fit, key=lambda name: fit[name])]


def order_of(classes: Collection[str]) -> list[int | str] | None:
    """Numbers ascending, or words as one of `SCALES` has them; None if the order is not known."""
    numbers = {key: number for key in classes if (number := number_of(key)) is not None}
    if len(numbers) == len(classes):
        return [as_label(key) for key in sorted(numbers, key=lambda key: numbers[key])]
    words = {" ".join(re.split(r"[\s_-]+", key.casefold())): key for key in classes}
    for scale in SCALES:
        if len(words) == len(classes) and words.keys() <= set(scale):
            return [words[word] for word in scale if word in words]
    return None
