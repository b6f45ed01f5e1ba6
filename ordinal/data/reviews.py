"""Check every row of a table of labelled reviews, and write them in one clean form."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import label_key
from ordinal.data.tables import read_table

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int32())])
MAX_CLASSES = 1000  # a column of more different values is hardly one of labels


def infer_labels(path: Path, column: str) -> list[int]:
    """The whole numbers in a label column, in ascending order.

    Raises:
        UserError: a label is not a whole number, so that the order is not known, or there are too
            few or too many.
    """
    labels: set[int] = set()
    rows = 0
    for piece in read_table(path, [column], str(path)):
        for value in piece[column]:
            rows += 1
            if is_blank(value):
                continue
            try:
                labels.add(int(label_key(value)))
            except ValueError:
                raise UserError(
                    f"{row_of(str(path), rows)}: label {quoted(value)} is not a whole number, so "
                    "that the order of the labels is not known: list them from lowest to highest "
                    "in an entry of data/catalog.yaml, which `ordinal new-data` writes"
                ) from None
        if len(labels) > MAX_CLASSES:
            raise UserError(
                f"{path}: column {quoted(column)} has more than {MAX_CLASSES} different values: "
                "set data.label to the column of the labels"
            )
    if rows == 0:
        raise UserError(f"{path} has no rows, only a header at most")
    if len(labels) < 2:
        has = f"the label {labels.pop()} alone" if labels else "no label"
        raise UserError(f"{path}: column {quoted(column)} has {has}: at least 2 are needed")
    return sorted(labels)


def write_reviews(
    pieces: Iterable[pd.DataFrame], labels: Sequence[int | str], path: Path, source: str
) -> dict[str, Any]:
    """Write reviews as Parquet: `text` (not empty) and `label` (0 … K−1, the order of `labels`).

    `pieces` have the text in their first column and the label in their second. Rows with neither
    are dropped and counted; nothing else is.

    Returns the row counts, for the record.

    Raises:
        UserError: a text is missing or can't be one, a label is missing or not one of `labels`,
            or one of `labels` has no row.
    """
    classes = {label_key(label): index for index, label in enumerate(labels)}
    counts: Counter[int] = Counter()
    rows = blank = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for piece in pieces:
            texts, indices = [], []
            for text, value in piece.itertuples(index=False, name=None):
                rows += 1
                if is_blank(text) and is_blank(value):
                    blank += 1
                    continue
                if wrong := text_problem(text):
                    column = quoted(piece.columns[0])
                    raise UserError(f"{row_of(source, rows)}: column {column} {wrong}")
                index = classes.get(label_key(value))
                if index is None:
                    column = quoted(piece.columns[1])
                    wrong = (
                        "is empty" if is_blank(value) else f"{quoted(value)} is not a known label"
                    )
                    raise UserError(
                        f"{row_of(source, rows)}: column {column} {wrong}; known are {_few(labels)}"
                    )
                texts.append(text)
                indices.append(index)
            counts.update(indices)
            writer.write_table(
                pa.table([pa.array(texts, pa.string()), pa.array(indices, pa.int32())], SCHEMA)
            )
    if rows == blank:
        raise UserError(f"{source} has no row with a text and a label")
    if missing := [label for index, label in enumerate(labels) if not counts[index]]:
        raise UserError(
            f"{source}: no row has the label {_few(missing)}: add such rows, or take it out of the "
            "labels in data/catalog.yaml"
        )
    return {
        "rows": rows - blank,
        "rows_per_label": {str(label): counts[index] for index, label in enumerate(labels)},
        "dropped": {"blank rows": blank},
    }


def is_blank(value: object) -> bool:
    """Whether a cell holds nothing: missing, NaN, or white space alone."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_problem(text: object) -> str | None:
    """What keeps a cell from being a review's text."""
    if isinstance(text, str) and "\0" in text:  # more likely another kind of file than a text
        return "has a NUL character: remove it"
    return unreadable(text)


def unreadable(text: object) -> str | None:
    """What keeps a cell from being a text at all."""
    if is_blank(text) or not isinstance(text, str):
        return "has no text: fill or remove it"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is no character: remove it"
    return None


def row_of(source: str, number: int) -> str:
    """A row as sentences name it, counted from 1."""
    return f"{source}: row {number} (the header not counted)"


def _few(labels: Sequence[int | str]) -> str:
    """At most ten of the labels, as a list in words."""
    return ", ".join(str(label) for label in labels[:10]) + (", …" if len(labels) > 10 else "")
