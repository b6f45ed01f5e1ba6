"""Check every row of a table of labelled reviews, and write them in one clean form."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
PART = "part"
"""Column of data/raw for the parts into which a source is split."""


@dataclass(frozen=True)
class Source:
    """Reviews of one file."""

    name: str
    """Used in error messages."""
    chunks: Iterable[pd.DataFrame]
    part: str | None = None
    """The part of these rows, one of `PARTS`, if the source is split."""


def infer_labels(path: Path, column: str) -> list[int]:
    """Return the whole numbers in a label column; see `labels_of`."""
    return labels_of([Source(str(path), read_table(path, [column], str(path)))], column)


def labels_of(sources: Sequence[Source], column: str) -> list[int]:
    """Return the whole numbers in the label column of one file or several, in ascending order.

    Raises:
        UserError: a label is not a whole number, so the order of the labels is unknown, or the
            column has too few or too many labels.
    """
    labels: set[int] = set()
    for source in sources:
        labels |= _labels_in(source, column)
    if len(labels) < 2:
        has = f"only the label {labels.pop()}" if labels else "no label"
        name = sources[0].name
        raise UserError(f"{name}: column {quoted(column)} has {has}: at least 2 are needed")
    return sorted(labels)


def _labels_in(source: Source, column: str) -> set[int]:
    labels: set[int] = set()
    seen: set[str] = set()
    rows = 0
    for chunk in source.chunks:
        for number, cell in enumerate(chunk[column], rows + 1):
            if isinstance(cell, str):
                if cell in seen:
                    continue
                seen.add(cell)
            if not lacks_label(cell):
                labels.add(_whole_number(cell, row_of(source.name, number)))
        rows += len(chunk)
        advice = "set data.label to the column of the labels"
        refuse_many_classes(len(labels), source.name, column, advice)
    if rows == 0:
        raise UserError(f"{source.name} has no rows")
    return labels


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
    """Write the reviews of one source; see `write_sources`."""
    return write_sources([Source(source, chunks)], labels, path, source, missing)


def write_sources(
    sources: Sequence[Source],
    labels: Sequence[int | str],
    path: Path,
    name: str,
    missing: Missing = "refuse",
) -> dict[str, Any]:
    """Write reviews as Parquet: `text` (not empty) and `label` (0 … K−1, the order of `labels`).

    The first column of each chunk is the text, the second the label. The column `part` follows if
    the sources are parts. Rows with neither a text nor a label are dropped and counted, and so are
    rows with only one of them if `missing` is "drop". No other rows are dropped.

    Args:
        sources: The rows, in order.
        labels: The K labels, lowest first.
        path: The file to write.
        name: The name of the data set in error messages.
        missing: What happens to rows that lack their text or their label.

    Returns:
        The numbers of rows, per label and per part, and of dropped rows, for data/raw/facts.json.

    Raises:
        UserError: a text is missing or not usable, a label is missing or not one of `labels`, or
            one of `labels` has no row.
    """
    classes = {label_key(label): index for index, label in enumerate(labels)}
    may_drop = (BLANK, NO_LABEL, NO_TEXT) if missing == "drop" else (BLANK,)
    dropped = dict.fromkeys(may_drop, 0)
    counts: Counter[int] = Counter()
    parts = {source.part: 0 for source in sources if source.part}
    schema = SCHEMA.append(pa.field(PART, pa.string())) if parts else SCHEMA
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for source in sources:
            for table in _tables(source, classes, dropped):
                writer.write_table(table)
                counts.update(table["label"].to_pylist())
                if source.part:
                    parts[source.part] += len(table)
    _refuse_absent(labels, counts, name)
    return {
        "rows": counts.total(),
        "rows_per_label": {str(label): counts[index] for index, label in enumerate(labels)},
        **({"rows_per_part": parts} if parts else {}),
        "dropped": dropped,
    }


def _refuse_absent(labels: Sequence[int | str], counts: Counter[int], name: str) -> None:
    if not counts:
        raise UserError(f"{name} has no row with a text and a label")
    if absent := [label for index, label in enumerate(labels) if not counts[index]]:
        raise UserError(
            f"{name}: no row has the label {list_labels(absent)}: add rows with it, or remove "
            "it from the labels in data/catalog.yaml"
        )


def _tables(
    source: Source, classes: Mapping[str, int], dropped: dict[str, int]
) -> Iterator[pa.Table]:
    rows = 0
    for chunk in source.chunks:
        table = _checked(chunk, classes, source.name, rows, dropped)
        rows += len(chunk)
        if source.part:
            parts = pa.array([source.part] * len(table), pa.string())
            table = table.append_column(PART, parts)
        yield table


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
