"""Predict more texts than fit into memory, and write the predictions chunk by chunk."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, time
from itertools import chain
from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ordinal.common.columns import distinct_names, probability_columns
from ordinal.common.errors import UserError
from ordinal.common.files import DIGITS, atomic_file
from ordinal.data.rows import unreadable
from ordinal.data.spreadsheets import escape_table
from ordinal.prediction.inputs import Chunk, TextSource
from ordinal.prediction.predictor import Prediction, Predictor

Write = Callable[[pd.DataFrame], None]


def predict_rows(
    predictor: Predictor, source: TextSource, keep_going: bool
) -> Iterator[pd.DataFrame]:
    """Yield the predictions of each chunk: `row` (from 1) and the columns of `prediction_table`.

    The columns of a file follow. One with the name of a column before it gets `_in_file` appended.
    With `keep_going`, a row without usable text is reported on stderr, and its cells are empty.
    Without any texts there is one table without rows.

    Raises:
        UserError: a row has no usable text, and `keep_going` is false.
    """
    done = 0
    with tqdm(desc="predict", unit="row", disable=None) as bar:
        for texts, others in chain(source.chunks, [Chunk([])]):
            if done and not texts:
                break
            rows = range(done + 1, done + 1 + len(texts))
            usable = _usable(dict(zip(rows, texts, strict=True)), source.name, keep_going)
            table = prediction_table(predictor.predict([*usable.values()]), predictor.labels)
            table = table.set_axis([*usable]).reindex(rows).rename_axis("row").reset_index()
            yield table if others is None else _with_columns(table, others)
            done += len(texts)
            bar.update(len(texts))


def abstentions(table: pd.DataFrame) -> int:
    """Return the number of predictions without a label in a table of `predict_rows`."""
    return int((table["label"].isna() & table["low"].notna()).sum())


def _with_columns(table: pd.DataFrame, others: pa.Table) -> pd.DataFrame:
    own = list(map(str, table))
    names = [*own, *distinct_names(own, others.column_names)]
    # In Arrow's types, whole numbers stay so next to missing values.
    columns: pd.DataFrame = others.to_pandas(types_mapper=pd.ArrowDtype)
    return pd.concat([table, columns], axis=1).set_axis(names, axis=1)


def _usable(cells: dict[int, object], source: str, keep_going: bool) -> dict[int, str]:
    """Return the texts by row, without the rows that have none."""
    texts = {}
    for row, cell in cells.items():
        if problem := unreadable(cell):
            message = f"{source}: row {row} {problem}"
            if not keep_going:
                raise UserError(f"{message}, or skip such rows with --keep-going")
            tqdm.write(f"{message}; its prediction is left empty", file=sys.stderr)
        else:
            texts[row] = str(cell)
    return texts


def prediction_table(predictions: Sequence[Prediction], labels: Sequence[str]) -> pd.DataFrame:
    """One row per prediction: `label`, `low`, `high`, and `p_LABEL` for each label."""
    probabilities = [[one.probabilities[label] for label in labels] for one in predictions]
    names = [(one.label, one.low, one.high) for one in predictions]
    return pd.concat(
        [
            pd.DataFrame(names, columns=["label", "low", "high"], dtype="str"),
            pd.DataFrame(probabilities, columns=probability_columns(labels), dtype=float),
        ],
        axis=1,
    ).round(DIGITS)


@contextmanager
def table_writer(path: Path | None) -> Iterator[Write]:
    """Yield a function that appends tables to a .csv, .jsonl or .parquet file, or CSV to stdout.

    The file appears under its name only if nothing raises.

    Raises:
        UserError: the file's name has another ending, or is that of a folder.
    """
    if path and path.is_dir():
        raise UserError(f"--out {path} is a folder: name a file in it")
    with ExitStack() as stack:
        if path is None:
            yield _csv_writer(sys.stdout)
        elif path.suffix == ".parquet":
            yield _parquet_writer(stack.enter_context(atomic_file(path)), stack)
        elif path.suffix in (".csv", ".jsonl"):
            draft = stack.enter_context(atomic_file(path))
            file = stack.enter_context(draft.open("w", encoding="utf-8", newline=""))
            yield _csv_writer(file) if path.suffix == ".csv" else _json_writer(file)
        else:
            raise UserError(f"--out {path}: the name has to end in .csv, .jsonl or .parquet")


def _csv_writer(file: TextIO) -> Write:
    header = True

    def write(table: pd.DataFrame) -> None:
        nonlocal header
        escape_table(table).to_csv(file, index=False, header=header, lineterminator="\n")
        header = False

    return write


def _json_writer(file: TextIO) -> Write:
    def write(table: pd.DataFrame) -> None:
        # DataFrame.to_json rounds numbers to at most 15 digits.
        objects = table.astype(object).where(table.notna(), None)
        for row in objects.to_dict("records"):
            file.write(f"{json.dumps(row, ensure_ascii=False, default=_plain)}\n")

    return write


def _plain(value: object) -> str:
    """Return a date, time or decimal number for JSON."""
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _parquet_writer(path: Path, stack: ExitStack) -> Write:
    writer: pq.ParquetWriter | None = None

    def write(table: pd.DataFrame) -> None:
        nonlocal writer
        rows = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or stack.enter_context(pq.ParquetWriter(path, rows.schema))
        writer.write_table(rows.cast(writer.schema))

    return write
