"""Read labelled reviews from any table, check every row, and write them in one clean form."""

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.errors import UserError

SCHEMA = pa.schema([("text", pa.string()), ("label", pa.int32())])
PIECE = 50_000  # rows in memory at once


def read_table(path: Path, columns: Sequence[str] | None, name: str) -> Iterator[pd.DataFrame]:
    """Read CSV, TSV (also .gz, .zip), JSON Lines or Parquet in pieces of at most `PIECE` rows.

    None stands for all columns. Errors call the file `name`, since `path` may be a temporary one.

    Raises:
        UserError: the file can't be read as its name says, or lacks one of `columns`.
    """
    kind = path.name.lower().removesuffix(".gz").removesuffix(".zip").rpartition(".")[2]
    if kind not in ("csv", "tsv", "jsonl", "parquet"):
        raise UserError(
            f"{name}: not a kind of file that is read: use .csv, .tsv, .jsonl or .parquet"
        )
    try:
        for piece in _pieces(path, kind):
            for column in columns or ():
                if column not in piece.columns:
                    has = ", ".join(f"'{name}'" for name in piece.columns[:20])
                    raise UserError(f"{name}: no column '{column}'; it has {has}")
            yield piece if columns is None else piece[list(columns)]
    except (
        ValueError,
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        pa.ArrowException,
    ) as error:
        reason = str(error).partition("\n")[0].rstrip(". ")
        raise UserError(f"{name}: can't be read as {kind}: {reason}") from None


def _pieces(path: Path, kind: str) -> Iterable[pd.DataFrame]:
    if kind == "parquet":
        return (batch.to_pandas() for batch in pq.ParquetFile(path).iter_batches(PIECE))
    if kind == "jsonl":
        return pd.read_json(path, lines=True, chunksize=PIECE, dtype=False)
    # Everything as text: a review "NA" or "1.0" is a text, and labels are compared by value below.
    return pd.read_csv(
        path,
        sep="\t" if kind == "tsv" else ",",
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
        chunksize=PIECE,
        skip_blank_lines=False,
    )


def infer_labels(path: Path, column: str) -> list[int]:
    """The whole numbers in a label column, in ascending order.

    Raises:
        UserError: some are not whole numbers, so that their order is not known.
    """
    keys: set[str] = set()
    for piece in read_table(path, [column], str(path)):
        keys.update(label_key(value) for value in piece[column] if not is_blank(value))
    try:
        labels = sorted(int(key) for key in keys)
    except ValueError:
        raise UserError(
            f"{path}: the order of the labels {', '.join(sorted(keys)[:10])} is not known: "
            "list them from lowest to highest in an entry of data/catalog.yaml, which "
            "`ordinal new-data` writes"
        ) from None
    if len(labels) < 2:
        raise UserError(
            f"{path}: column '{column}' has {len(labels)} classes: at least 2 are needed"
        )
    return labels


def write_reviews(
    pieces: Iterable[pd.DataFrame], labels: Sequence[int | str], path: Path, source: str
) -> dict[str, Any]:
    """Write reviews as Parquet: `text` (not empty) and `label` (0 … K−1, the order of `labels`).

    `pieces` have the text in their first column and the label in their second. Rows with neither
    are dropped and counted; nothing else is.

    Returns the row counts, for the record.

    Raises:
        UserError: a text or a label is missing, or a label is not one of `labels`.
    """
    classes = {label_key(label): index for index, label in enumerate(labels)}
    counts: Counter[int] = Counter()
    rows = blank = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for piece in pieces:
            texts, indices = [], []
            for text, value in piece.itertuples(index=False, name=None):
                rows += 1
                where = f"{source}: row {rows} (the header not counted)"
                if is_blank(text) and is_blank(value):
                    blank += 1
                    continue
                if is_blank(text) or not isinstance(text, str):
                    raise UserError(
                        f"{where}: column '{piece.columns[0]}' has no text: fill or remove it"
                    )
                index = classes.get(label_key(value))
                if index is None:
                    shown = "is empty" if is_blank(value) else f"'{value}' is not a known label"
                    known = ", ".join(str(label) for label in labels)
                    raise UserError(
                        f"{where}: column '{piece.columns[1]}' {shown}; known are {known}"
                    )
                texts.append(text)
                indices.append(index)
            counts.update(indices)
            writer.write_table(
                pa.table([pa.array(texts, pa.string()), pa.array(indices, pa.int32())], SCHEMA)
            )
    return {
        "rows": rows - blank,
        "rows_per_label": {str(label): counts[index] for index, label in enumerate(labels)},
        "dropped": {"blank rows": blank},
    }


def is_blank(value: object) -> bool:
    """Whether a cell holds nothing: missing, NaN, or white space alone."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def label_key(value: object) -> str:
    """One spelling for a label, however its file writes it: 4, 4.0 and " 4" are the same."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
