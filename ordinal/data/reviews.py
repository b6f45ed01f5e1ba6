"""Check every row of a table of labelled reviews, and write them in one clean form."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.columns import PART
from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, list_labels
from ordinal.common.types import Missing
from ordinal.data.carried import carried_arrays
from ordinal.data.rows import (
    BLANK,
    NO_LABEL,
    NO_TEXT,
    column_of,
    is_blank,
    join_cells,
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
NOTHING = pa.schema([])


def infer_labels(path: Path | Sequence[Path], column: str) -> list[int]:
    """Return the whole numbers in a label column of one file or of several, in ascending order.

    Raises:
        UserError: a label is not a whole number, so the order of the labels is unknown, or the
            column has too few or too many labels.
    """
    paths = [path] if isinstance(path, Path) else path
    labels: set[int] = set()
    for file in paths:
        labels |= _labels_in(file, column)
    if len(labels) < 2:
        has = f"only the label {labels.pop()}" if labels else "no label"
        raise UserError(f"{paths[0]}: column {quoted(column)} has {has}: at least 2 are needed")
    return sorted(labels)


def _labels_in(path: Path, column: str) -> set[int]:
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


@dataclass(frozen=True)
class Layout:
    """The columns of chunks of reviews: one or several texts, the label, and columns to keep."""

    texts: int = 1
    keep: pa.Schema = NOTHING

    def schema(self, has_parts: bool) -> pa.Schema:
        """Return the schema of data/raw."""
        parts = [pa.field(PART, pa.string())] if has_parts else []
        return pa.schema([*SCHEMA, *self.keep, *parts])


@dataclass(frozen=True)
class Source:
    """Reviews of one file, or of one part of a data set."""

    name: str
    """Used in error messages."""
    chunks: Iterable[pd.DataFrame]
    part: str | None = None
    """The part of these rows, one of `PARTS`, if the source is split."""


def write_reviews(
    chunks: Iterable[pd.DataFrame],
    labels: Sequence[int | str],
    path: Path,
    source: str,
    missing: Missing = "refuse",
    layout: Layout = Layout(),
) -> dict[str, Any]:
    """Write the reviews of one source; see `write_sources`."""
    return write_sources([Source(source, chunks)], labels, path, source, missing, layout)


def write_sources(
    sources: Sequence[Source],
    labels: Sequence[int | str],
    path: Path,
    name: str,
    missing: Missing = "refuse",
    layout: Layout = Layout(),
) -> dict[str, Any]:
    """Write reviews as Parquet: `text` (not empty) and `label` (0 … K−1, the order of `labels`).

    The columns to keep follow as they are, and the column `part` if the sources are parts. Rows
    with neither a text nor a label are dropped and counted, and so are rows with only one of them
    if `missing` is "drop". No other rows are dropped.

    Args:
        sources: The rows, in the order in which they are written.
        labels: The K labels, lowest first.
        path: The file to write.
        name: The name of the data set in error messages.
        missing: What happens to rows that lack their text or their label.
        layout: The columns of the chunks.

    Returns:
        The numbers of rows, for data/raw/facts.json.

    Raises:
        UserError: a text or a label is missing or not usable, or a label has no row.
    """
    classes = {label_key(label): index for index, label in enumerate(labels)}
    may_drop = (BLANK, NO_LABEL, NO_TEXT) if missing == "drop" else (BLANK,)
    dropped = dict.fromkeys(may_drop, 0)
    counts: Counter[int] = Counter()
    parts = {source.part: 0 for source in sources if source.part}
    with pq.ParquetWriter(path, layout.schema(bool(parts)), compression="zstd") as writer:
        for source in sources:
            rows = 0
            for chunk in source.chunks:
                table = _checked(chunk, classes, source, rows, dropped, layout)
                writer.write_table(table)
                counts.update(table["label"].to_pylist())
                rows += len(chunk)
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


def _checked(
    chunk: pd.DataFrame,
    classes: Mapping[str, int],
    source: Source,
    rows_before: int,
    dropped: dict[str, int],
    layout: Layout,
) -> pa.Table:
    """Return the rows of a chunk with the columns of data/raw; count the others in `dropped`.

    Rows that lack something may be dropped if `dropped` has a number for it.
    """
    *text_columns, label_column = chunk.columns[: layout.texts + 1]
    texts, indices, taken = [], [], []
    index_of: dict[object, int] = {}  # by the label as it is written
    cells = chunk.iloc[:, : layout.texts + 1].itertuples(index=False, name=None)
    for number, (*text_cells, label) in enumerate(cells):
        text = join_cells(text_cells)
        index = index_of.get(label) if isinstance(label, str) else None
        if index is None or is_blank(text):
            lack = what_is_missing(text, label, classes)
            if lack in dropped:
                dropped[lack] += 1
                continue
        if problem := text_problem(text):
            row = row_of(source.name, rows_before + number + 1)
            raise UserError(f"{row}: column {column_of(text_cells, text_columns)} {problem}")
        if index is None:
            if problem := label_problem(label, classes):
                row = row_of(source.name, rows_before + number + 1)
                raise UserError(f"{row}: column {quoted(label_column)}: {problem}")
            index = classes[label_key(label)]
            if isinstance(label, str):
                index_of[label] = index
        texts.append(text)
        indices.append(index)
        taken.append(number)
    table = pa.table([pa.array(texts, pa.string()), pa.array(indices, pa.int32())], SCHEMA)
    return _with_other_columns(table, chunk.iloc[taken, layout.texts + 1 :], source, layout)


def _with_other_columns(
    table: pa.Table, kept: pd.DataFrame, source: Source, layout: Layout
) -> pa.Table:
    for field, cells in zip(layout.keep, carried_arrays(kept, layout.keep), strict=True):
        table = table.append_column(field, cells)
    if source.part:
        table = table.append_column(PART, pa.array([source.part] * len(table), pa.string()))
    return table
