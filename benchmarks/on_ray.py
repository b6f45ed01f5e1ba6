"""Throughput of prediction with Ray and in processes, compared with one process.

The model is a run's; the texts are random words with the lengths of short reviews. The rate is that
from the end of the first file to that of the last one, so that starting does not count. After a
`make repro`: `python -m benchmarks.on_ray`.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from benchmarks.corpora import random_texts, short_lengths
from ordinal import load
from ordinal.prediction.blocks import Input, find_inputs
from ordinal.prediction.folder import Run, Worker, in_processes
from ordinal.prediction.on_ray import LOCAL, on_ray
from ordinal.prediction.parts import Job, Options

MODEL = Path("models/ordinal")
FILES = 24
ROWS = 100  # per file
RUNS: Mapping[str, Run] = {
    "1 process": partial(in_processes, 1),
    "2 processes": partial(in_processes, 2),
    "1 actor": partial(on_ray, LOCAL, 1),
    "2 actors": partial(on_ray, LOCAL, 2),
}


def write_tables(folder: Path, model: Path, files: int, rows: int) -> None:
    texts = random_texts(short_lengths(files * rows), load(model, accelerator="cpu").tokenizer)
    for number in range(files):
        table = pd.DataFrame({"review": texts[number * rows : (number + 1) * rows]})
        table.to_csv(folder / f"{number:03}.csv", index=False)


def rate(run: Run, worker: Worker, files: Sequence[Input], rows: int) -> float:
    """Return the rows per second, apart from those of the first file."""
    with run(worker, files) as outcomes:
        ends = [time.perf_counter() for _ in outcomes]
    return rows * (len(ends) - 1) / (ends[-1] - ends[0])


def main(model: Path = MODEL, files: int = FILES, rows: int = ROWS) -> None:
    columns = pa.schema([("review", pa.string())])
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), model, files, rows)
        inputs = find_inputs([folder], "out")
        for name, run in RUNS.items():
            out = str(Path(folder) / "out" / name)
            worker = Worker(model, None, Job(out, Options(["review"]), columns))
            rates[name] = rate(run, worker, inputs, rows)
    first, *_ = rates.values()
    print(f"prediction of {files} files with {rows} rows each, compared with one process")
    for name, value in rates.items():
        print(f"  {name}: {value / first:.2f} times its rows/s; {value:.0f} rows/s")


if __name__ == "__main__":
    main()
