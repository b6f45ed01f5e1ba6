"""Check every row of a table of labelled reviews, and write them in one clean form."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.choices import Missing
from ordinal.common.columns import PART
from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import list_labels
from ordinal.data.carried import carried_arrays
from ordinal.data.label_reader import LabelReader
from ordinal.data.rows import (
    BLANK,
    NO_LABEL,
    NO_TEXT,
    column_of,
    is_blank,
    join_cells,
    row_of,
    text_problem,
    what_is_missing,
)

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int32())])
NOTHING = pa.schema([])


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
    reader = LabelReader(labels)
    return write_sources([Source(source, chunks)], reader, path, source, missing, layout)


def write_sources(
    sources: Sequence[Source],
    reader: LabelReader,
    path: Path,
    name: str,
    missing: Missing = "refuse",
    layout: Layout = Layout(),
    repairs: Counter[str] | None = None,
) -> dict[str, Any]:
    """Write reviews as Parquet: `text` (not empty) and `label` (0 … K−1).

    The columns to keep and, if the sources are parts, `part` follow. Rows with neither a text nor a
    label are dropped and counted, and with `missing` "drop" rows with one of them.

    Args:
        sources: The rows, in their order.
        reader: The K labels, and their spellings.
        path: The file to write.
        name: The name of the data set in error messages.
        missing: What happens to rows that lack their text or their label.
        layout: The columns of the chunks.
        repairs: Counts labels that are spelled otherwise, by kind.

    Returns:
        Numbers of rows for data/raw/facts.json.

    Raises:
        UserError: a text or a label is missing or not usable, or a label has no row.
    """
    labels, repairs = reader.labels, (Counter() if repairs is None else repairs)
    dropped = dict.fromkeys((BLANK, NO_LABEL, NO_TEXT) if missing == "drop" else (BLANK,), 0)
    counts: Counter[int] = Counter()
    parts = dict.fromkeys((source.part for source in sources if source.part), 0)
    with pq.ParquetWriter(path, layout.schema(bool(parts)), compression="zstd") as writer:
        for source in sources:
            rows = 0
            for chunk in source.chunks:
                table = _checked(chunk, reader, source, rows, dropped, repairs, layout)
                writer.write_table(table)
                rows += len(chunk)
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


def _checked(
    chunk: pd.DataFrame,
    reader: LabelReader,
    source: Source,
    rows_before: int,
    dropped: dict[str, int],
    repairs: Counter[str],
    layout: Layout,
) -> pa.Table:
    """Return the rows of a chunk with the columns of data/raw; count the others in `dropped`.

    Labels in another spelling are counted in `repairs`.

    Rows that lack something may be dropped if `dropped` has a number for it.
    """
    used = chunk.iloc[:, : layout.texts + 1]
    texts, indices, taken = [], [], []
    for number, cells in enumerate(used.itertuples(index=False, name=None)):
        text, label = join_cells(cells[:-1]), cells[-1]
        reading = reader.read(label)
        if reading is None or is_blank(text):
            lack = what_is_missing(text, label, reader.known)
            if lack in dropped:
                dropped[lack] += 1
                continue
        if reading is None or text_problem(text):
            row = row_of(source.name, rows_before + number + 1)
            raise UserError(f"{row}: column {_problem(cells, list(used.columns), reader)}")
        if reading.repair:
            repairs[reading.repair] += 1
        texts.append(text)
        indices.append(reading.label)
        taken.append(number)
    table = pa.table([pa.array(texts, pa.string()), pa.array(indices, pa.int32())], SCHEMA)
    return _with_other_columns(table, chunk.iloc[taken, layout.texts + 1 :], source, layout)


def _problem(cells: Sequence[object], columns: Sequence[str], reader: LabelReader) -> str:
    """Return the column of a row that is not usable, and why."""
    *texts, label = cells
    if problem := text_problem(join_cells(texts)):
        return f"{column_of(texts, columns[:-1])} {problem}"
    return f"{quoted(columns[-1])}: {reader.problem(label)}"


def _with_other_columns(
    table: pa.Table, kept: pd.DataFrame, source: Source, layout: Layout
) -> pa.Table:
    for field, cells in zip(layout.keep, carried_arrays(kept, layout.keep), strict=True):
        table = table.append_column(field, cells)
    if source.part:
        table = table.append_column(PART, pa.array([source.part] * len(table), pa.string()))
    return table
