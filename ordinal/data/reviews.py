"""Check every row of a table of labelled reviews, and write them in one clean form."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, list_labels
from ordinal.common.types import Missing
from ordinal.data.rows import (
    BLANK,
    NO_LABEL,
    NO_TEXT,
    is_blank,
    label_problem,
    lacks_label,
    refuse_many_classes,
    row_of,
    text_problem,
    what_is_missing,
    wrong_type,
)
from ordinal.data.tables import read_table

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int32())])


def infer_labels(path: Path, column: str) -> list[int]:
    """Return the whole numbers in a label column, in ascending order.

    Raises:
        UserError: a label is not a whole number, so the order of the labels is unknown, or the
            column has too few or too many labels.
    """
    source = str(path)
    labels: set[int] = set()
    seen: set[str] = set()
    rows = 0
    for chunk in read_table(path, [column], source):
        for number, cell in enumerate(chunk[column], rows + 1):
            if isinstance(cell, str):
                if cell in seen:
                    continue
                seen.add(cell)
            if not lacks_label(cell):
                labels.add(_whole_number(cell, row_of(source, number)))
        rows += len(chunk)
        advice = "set data.label to the column of the labels"
        refuse_many_classes(len(labels), source, column, advice)
    if rows == 0:
        raise UserError(f"{path} has no rows")
    if len(labels) < 2:
        has = f"only the label {labels.pop()}" if labels else "no label"
        raise UserError(f"{path}: column {quoted(column)} has {has}: at least 2 are needed")
    return sorted(labels)


def _whole_number(cell: object, row: str) -> int:
    if wrong := wrong_type(cell):
        raise UserError(f"{row}: the label holds {wrong}")
    label = as_label(label_key(cell))
    if isinstance(label, int):
        return label
    raise UserError(
        f"{row}: label {quoted(cell)} is not a whole number, so the order of the labels is "
        "unknown: list them from lowest to highest in an entry of data/catalog.yaml, which "
        "`ordinal new-data` writes"
    )


def write_reviews(
    chunks: Iterable[pd.DataFrame],
    labels: Sequence[int | str],
    path: Path,
    source: str,
    missing: Missing = "refuse",
) -> dict[str, Any]:
    """Write reviews as Parquet: `text` (not empty) and `label` (0 … K−1, the order of `labels`).

    The first column of each chunk is the text, the second the label. Rows with neither are dropped
    and counted, and so are rows with only one of them if `missing` is "drop". No other rows are
    dropped.

    Returns:
        The number of rows, of rows per label, and of dropped rows, for data/raw/facts.json.

    Raises:
        UserError: a text is missing or not usable, a label is missing or not one of `labels`, or
            one of `labels` has no row.
    """
    classes = {label_key(label): index for index, label in enumerate(labels)}
    may_drop = (BLANK, NO_LABEL, NO_TEXT) if missing == "drop" else (BLANK,)
    dropped = dict.fromkeys(may_drop, 0)
    counts: Counter[int] = Counter()
    rows = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for chunk in chunks:
            table = _checked(chunk, classes, source, rows, dropped)
            writer.write_table(table)
            counts.update(table["label"].to_pylist())
            rows += len(chunk)
    if not counts:
        raise UserError(f"{source} has no row with a text and a label")
    if absent := [label for index, label in enumerate(labels) if not counts[index]]:
        raise UserError(
            f"{source}: no row has the label {list_labels(absent)}: add rows with it, or remove "
            "it from the labels in data/catalog.yaml"
        )
    return {
        "rows": counts.total(),
        "rows_per_label": {str(label): counts[index] for index, label in enumerate(labels)},
        "dropped": dropped,
    }


def _checked(
    chunk: pd.DataFrame,
    classes: Mapping[str, int],
    source: str,
    rows_before: int,
    dropped: dict[str, int],
) -> pa.Table:
    """Return the rows of a chunk with the columns of `SCHEMA`; count the others in `dropped`.

    Rows that lack something may be dropped if `dropped` has a number for it.
    """
    text_column, label_column = chunk.columns
    texts, indices = [], []
    index_of: dict[object, int] = {}  # by the label as it is written
    cells = chunk.itertuples(index=False, name=None)
    for number, (text, label) in enumerate(cells, rows_before + 1):
        index = index_of.get(label) if isinstance(label, str) else None
        if index is None or is_blank(text):
            lack = what_is_missing(text, label, classes)
            if lack in dropped:
                dropped[lack] += 1
                continue
        if problem := text_problem(text):
            raise UserError(f"{row_of(source, number)}: column {quoted(text_column)} {problem}")
        if index is None:
            if problem := label_problem(label, classes):
                row = row_of(source, number)
                raise UserError(f"{row}: column {quoted(label_column)}: {problem}")
            index = classes[label_key(label)]
            if isinstance(label, str):
                index_of[label] = index
        texts.append(text)
        indices.append(index)
    return pa.table([pa.array(texts, pa.string()), pa.array(indices, pa.int32())], SCHEMA)
