"""Predict a block into Parquet files, the parts of the predictions."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.columns import distinct_names, probability_columns
from ordinal.common.errors import UserError, one_line, quoted
from ordinal.common.formats import Format
from ordinal.data.carried import table_schema
from ordinal.data.headers import refuse_missing
from ordinal.data.rows import unreadable
from ordinal.distributions.conformal import IntervalRule
from ordinal.prediction.blocks import Block, Input
from ordinal.prediction.inputs import chunk_of, read_rows
from ordinal.prediction.predictor import Predictor
from ordinal.prediction.storage import files_below, join, local_copy, written_whole
from ordinal.prediction.streaming import prediction_table

ROWS_PER_PART = 8192  # an interrupted process loses at most these
BAD_ROWS = "_bad_rows"
"""The folder of the rows that can't be predicted. Readers of Parquet folders ignore it."""
BAD_SCHEMA = pa.schema([("file", pa.string()), ("row", pa.int64()), ("reason", pa.string())])
PART = re.compile(r"([^/]+)-(\d{5,})(-last)?\.parquet")


@dataclass(frozen=True)
class Options:
    """The options of a prediction that change its results."""

    text: Sequence[str]
    """The text columns."""
    keep: Sequence[str] = ()
    """The columns to return; all if there are none."""
    format: Format = field(default_factory=Format)
    """The known fields of the format of the files."""
    interval_rule: IntervalRule = field(default_factory=IntervalRule)
    """The choice of the label intervals."""
    abstain_above: int | None = None
    """Texts whose interval has more labels than this get no label."""


@dataclass(frozen=True)
class Job:
    """The work that all blocks have in common."""

    out: str
    """The folder of the parts, a path or URL."""
    options: Options
    others: pa.Schema
    """The columns to return."""


@dataclass(frozen=True)
class Outcome:
    """The result of a block."""

    file: str
    size: int
    """The size of the block, in bytes of the file."""
    problem: str | None = None
    """The reason why the file can't be read, or None."""
    repairs: Mapping[str, int] = field(default_factory=dict)
    """The number of repairs of the file, by kind."""


class _UnreadableError(Exception):
    """A file that can't be read."""


@dataclass(frozen=True)
class _Part:
    number: int
    first_row: int
    rows: Sequence[pd.DataFrame]
    is_last: bool

    def name(self, file: Input) -> str:
        return f"{file.id}-{self.number:05d}{'-last' if self.is_last else ''}.parquet"


def predict_block(predictor: Predictor, block: Block, job: Job) -> Outcome:
    """Write the parts of a block that are missing. Each appears whole, under its final name.

    Rows without usable text are left out, and listed in a file of the same name in `BAD_ROWS`.

    Raises:
        UserError: the folder of the parts can't be written to.
    """
    file, repairs = block.file, Counter[str]()
    size = file.size // block.step
    finished = set(files_below(job.out))
    try:
        for part in _group(_rows(file, job, repairs)):
            is_own = part.number % block.step == block.first
            if is_own and part.name(file) not in finished:
                _write(predictor, part, file, job)
    except _UnreadableError as reason:
        return Outcome(file.name, size, str(reason))
    return Outcome(file.name, size, None, {} if block.first else dict(repairs))


def complete_files(parts: Iterable[str]) -> set[str]:
    """Return the ids of the files of which all parts are there."""
    numbers: dict[str, set[int]] = defaultdict(set)
    ended: set[str] = set()
    for part in filter(None, map(PART.fullmatch, parts)):
        numbers[part[1]].add(int(part[2]))
        if part[3]:
            ended.add(part[1])
    return {file for file in ended if len(numbers[file]) == max(numbers[file]) + 1}


def _rows(file: Input, job: Job, repairs: Counter[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file.

    Raises:
        _UnreadableError: the file can't be read.
    """
    try:
        with local_copy(file.name) as path:
            if not job.options.keep:
                _refuse_other_columns(path, file.name, job)
            yield from read_rows(
                path, file.name, job.options.text, job.others, job.options.format, repairs
            )
    except UserError as error:
        raise _UnreadableError(str(error)) from None


def _refuse_other_columns(path: Path, name: str, job: Job) -> None:
    names = table_schema(path, job.options.text, name, job.options.format).names
    refuse_missing(job.options.text, names, name)
    if more := [column for column in names if column and column not in job.others.names]:
        raise UserError(
            f"{name}: the first file has no column {quoted(more[0])}: choose the columns to return "
            "with --keep, or predict this file into another folder"
        )


def _group(rows: Iterable[pd.DataFrame]) -> Iterator[_Part]:
    """Group the rows of a file into parts of at least `ROWS_PER_PART` rows, except the last."""
    number, first_row = 0, 1
    held: list[pd.DataFrame] = []
    for some in rows:
        count = sum(map(len, held))
        if count >= ROWS_PER_PART:
            yield _Part(number, first_row, held, is_last=False)
            number, first_row, held = number + 1, first_row + count, []
        if len(some):
            held.append(some)
    yield _Part(number, first_row, held, is_last=True)


def _write(predictor: Predictor, part: _Part, file: Input, job: Job) -> None:
    schema = _schema(predictor.labels, job.others)
    bad: list[tuple[str, int, str]] = []
    row = part.first_row
    with written_whole(join(job.out, part.name(file))) as draft:
        with pq.ParquetWriter(draft, schema) as writer:
            for some in part.rows:
                table, problems = _predict(predictor, some, row, file, job)
                writer.write_table(table.cast(schema))
                bad += [(file.name, row, reason) for row, reason in problems.items()]
                row += len(some)
        if bad:  # written before the part, whose existence means that both are complete
            with written_whole(join(job.out, f"{BAD_ROWS}/{part.name(file)}")) as list_of_bad:
                columns = [list(column) for column in zip(*bad, strict=True)]
                pq.write_table(pa.table(columns, schema=BAD_SCHEMA), list_of_bad)


def _schema(labels: Sequence[str], others: pa.Schema) -> pa.Schema:
    own = [
        *(("file", pa.string()), ("row", pa.int64())),
        *((name, pa.string()) for name in ("label", "low", "high")),
        *((name, pa.float64()) for name in probability_columns(labels)),
    ]
    names = distinct_names([name for name, _ in own], others.names)
    return pa.schema([*own, *zip(names, others.types, strict=True)])


def _predict(
    predictor: Predictor, rows: pd.DataFrame, first_row: int, file: Input, job: Job
) -> tuple[pa.Table, dict[int, str]]:
    """Return the predictions of some rows, and by row the problems of those without usable text."""
    try:
        chunk = chunk_of(rows, len(job.options.text), job.others)
    except (pa.ArrowException, OverflowError) as error:
        raise _UnreadableError(
            f"{file.name}: a column has another type than in the first file ({one_line(error)}): "
            "choose the columns to return with --keep, or predict this file into another folder"
        ) from None
    problems = {
        number: problem
        for number, cell in enumerate(chunk.texts, first_row)
        if (problem := unreadable(cell))
    }
    usable = [row for row in range(len(chunk.texts)) if first_row + row not in problems]
    predicted = predictor.predict([str(chunk.texts[row]) for row in usable])
    table = prediction_table(predicted, predictor.labels)
    table.insert(0, "file", file.name)
    table.insert(1, "row", [first_row + row for row in usable])
    own = pa.Table.from_pandas(table, preserve_index=False)
    others = chunk.others.take(pa.array(usable, pa.int64())) if chunk.others else pa.table({})
    names = distinct_names(own.column_names, others.column_names)
    columns = [*own.columns, *others.columns]
    return pa.table(columns, [*own.column_names, *names]), problems
