"""Predictions of files larger than memory: texts in and rows out, a piece at a time."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from ordinal.common.errors import UserError
from ordinal.common.files import DIGITS, atomic_file
from ordinal.data.rows import unreadable
from ordinal.data.tables import read_table
from ordinal.prediction.predictor import Prediction, Predictor

PIECE = 2048  # texts in memory at once, sorted by length together

Write = Callable[[pd.DataFrame], None]


def texts_of_file(path: Path, column: str) -> Iterator[Sequence[object]]:
    """The texts in a column of a CSV, TSV, JSON Lines or Parquet file, `PIECE` at a time.

    Raises:
        UserError: the file can't be read as its name says, or lacks the column.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: --text names the column of a file")
    for piece in read_table(path, [column], str(path)):
        values = piece[column].tolist()
        yield from (values[at : at + PIECE] for at in range(0, len(values), PIECE))


def texts_of_lines(stream: Iterable[bytes]) -> Iterator[Sequence[object]]:
    """The lines of a stream, each a text, `PIECE` at a time.

    Raises:
        UserError: a line is not UTF-8.
    """
    lines = (_decode(line, number) for number, line in enumerate(stream, start=1))
    while piece := list(islice(lines, PIECE)):
        yield piece


def _decode(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise UserError(f"stdin: line {number} is not UTF-8: save the text as that") from None


def predict_rows(
    predictor: Predictor, pieces: Iterable[Sequence[object]], source: str, keep_going: bool
) -> Iterator[pd.DataFrame]:
    """The predictions of each piece: `row` (from 1), `label`, `low`, `high`, `p_…` of each label.

    Rows that have no text, or none that can be read, are left empty if they shall not stop the
    work, and named on stderr. No rows at all are a table without any.

    Raises:
        UserError: there is such a row, and it shall stop the work.
    """
    done = 0
    with tqdm(desc="predict", unit="row", disable=None) as bar:
        for piece in chain(pieces, [[]]):
            if done and not piece:
                break
            rows = range(done + 1, done + 1 + len(piece))
            texts: dict[int, str] = {}
            for row, text in zip(rows, piece, strict=True):
                if wrong := unreadable(text):
                    complaint = f"{source}: row {row} {wrong}"
                    if not keep_going:
                        raise UserError(f"{complaint}, or pass it over with --keep-going")
                    tqdm.write(f"{complaint}; its prediction is left empty", file=sys.stderr)
                else:
                    texts[row] = str(text)
            table = prediction_table(predictor.predict([*texts.values()]), predictor.labels)
            yield table.set_axis([*texts]).reindex(rows).rename_axis("row").reset_index()
            done += len(piece)
            bar.update(len(piece))


def prediction_table(predictions: Sequence[Prediction], labels: Sequence[str]) -> pd.DataFrame:
    """A row a prediction: `label`, `low`, `high`, and `p_…` of each label."""
    chances = [[shown.probabilities[label] for label in labels] for shown in predictions]
    names = [(shown.label, shown.low, shown.high) for shown in predictions]
    return pd.concat(
        [
            pd.DataFrame(names, columns=["label", "low", "high"], dtype="str"),
            pd.DataFrame(chances, columns=[f"p_{label}" for label in labels], dtype=float),
        ],
        axis=1,
    ).round(DIGITS)


@contextmanager
def table_writer(path: Path | None) -> Iterator[Write]:
    """Yield what appends a piece to a .csv, .jsonl or .parquet file, or as CSV to stdout.

    The file is there, whole, only if nothing raises.

    Raises:
        UserError: the file's name ends otherwise.
    """
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
        table.to_csv(file, index=False, header=header, lineterminator="\n")
        header = False

    return write


def _json_writer(file: TextIO) -> Write:
    return lambda table: table.to_json(file, orient="records", lines=True, force_ascii=False)


def _parquet_writer(path: Path, stack: ExitStack) -> Write:
    writer: pq.ParquetWriter | None = None

    def write(table: pd.DataFrame) -> None:
        nonlocal writer
        rows = pa.Table.from_pandas(table, preserve_index=False)
        writer = writer or stack.enter_context(pq.ParquetWriter(path, rows.schema))
        writer.write_table(rows.cast(writer.schema))

    return write
