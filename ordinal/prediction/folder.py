"""Predict many files into a folder, with several processes. An interrupted run can be continued."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import Thread

import psutil
import pyarrow as pa
from tqdm import tqdm

from ordinal.common.choices import Accelerator
from ordinal.common.errors import UserError
from ordinal.data.carried import table_schema
from ordinal.data.headers import refuse_missing
from ordinal.prediction.blocks import Block, Input, divide, find_inputs
from ordinal.prediction.inputs import columns_to_return, report_repairs
from ordinal.prediction.load import load
from ordinal.prediction.manifest import (
    known_first,
    model_files,
    read_manifest,
    remove_parts,
    settings,
    update_manifest,
)
from ordinal.prediction.parts import (
    BAD_ROWS,
    PART,
    Job,
    Options,
    Outcome,
    complete_files,
    predict_block,
)
from ordinal.prediction.predictor import Predictor
from ordinal.prediction.storage import files_below, join, local_copy, missing_in, rows_in

BYTES_PER_WORKER = 1 << 20  # less text is predicted sooner than another process is started
MEMORY_PER_WORKER = 1 << 30  # bytes, next to the model


@dataclass(frozen=True)
class Worker:
    """Predicts blocks, one after the other, with one model."""

    model: Path
    precise: Path | None
    """The precise form, if the model is a fast one."""
    job: Job

    def __call__(self, block: Block) -> Outcome:
        """Predict a block."""
        return predict_block(self.predictor, block, self.job)

    @cached_property
    def predictor(self) -> Predictor:
        """The model, which is loaded on first use."""
        return self.load()

    def load(self, accelerator: Accelerator = "auto") -> Predictor:
        """Load the model."""
        options = self.job.options
        return load(
            self.model,
            precise=self.precise,
            abstain_above=options.abstain_above,
            accelerator=accelerator,
            **asdict(options.interval_rule),
        )

    @property
    def forms(self) -> list[Path]:
        """The model, and its precise form if there is one."""
        return [self.model] if self.precise is None else [self.model, self.precise]


Run = Callable[[Worker, Sequence[Input]], AbstractContextManager[Iterator[Outcome]]]
"""A way to predict files: it starts, and gives the outcomes of blocks in any order."""


@dataclass(frozen=True)
class Summary:
    """The result of a run."""

    predicted: int
    """Rows predicted by this run."""
    skipped: int
    """Rows predicted by earlier runs."""
    bad: int
    """Rows without usable text."""
    abstained: int
    """Rows without a label, by this run and earlier ones."""
    problems: Sequence[str]
    """The reasons why files can't be read."""


def predict_folder(
    names: Sequence[str],
    model: Path,
    precise: Path | None,
    options: Options,
    out: str,
    run: Run,
) -> Summary:
    """Predict files into the folder `out`, a path or URL.

    The folder may have predictions of an earlier run, which are not made again. Repairs are
    reported on stderr. The files are those of `find_inputs`, and the models those of `load`.

    Raises:
        UserError: there is no file of one of the names, the model can't be loaded, the folder has
            results of another model, with other options, or of other files, or some of the files
            were not predicted.
    """
    manifest = read_manifest(out)
    files = known_first(find_inputs(names, out), manifest)
    job = Job(out, options, _columns(files, options))
    now = settings(model, precise, options, job.others)
    for name in update_manifest(out, manifest, now, files):
        tqdm.write(f"{name} has changed and is predicted again", file=sys.stderr)
    before = files_below(out)
    complete = complete_files(before)
    left = [file for file in files if file.id not in complete]
    problems = _run(run, Worker(model, precise, job), left) if left else {}
    after = files_below(out)
    skipped, written = (_rows(out, filter(PART.fullmatch, parts)) for parts in (before, after))
    bad = _rows(out, [name for name in after if name.startswith(f"{BAD_ROWS}/")])
    abstained = 0
    if options.abstain_above is not None:
        abstained = _sum(partial(missing_in, column="label"), out, filter(PART.fullmatch, after))
    return Summary(written - skipped, skipped, bad, abstained, [*problems.values()])


def _columns(files: Sequence[Input], options: Options) -> pa.Schema:
    """Return the columns to return, which are those of the first file that can be predicted."""
    problems = []
    for file in files:
        try:
            with local_copy(file.name) as path:
                schema = table_schema(path, options.text, file.name, options.format)
            refuse_missing(options.text, schema.names, file.name)
            return columns_to_return(schema, options.keep, file.name)
        except UserError as problem:
            problems.append(problem)
    raise problems[0]


def _run(run: Run, worker: Worker, files: Sequence[Input]) -> dict[str, str]:
    """Predict files, and return by file the reasons why some can't be read."""
    # The progress bar comes after the start, because that of Ray replaces stderr.
    with run(worker, files) as outcomes:
        problems = _report(outcomes, files)
    remove_parts(worker.job.out, {file.id for file in files if file.name in problems})
    _refuse_lost(worker.job.out, [file for file in files if file.name not in problems])
    return problems


def _refuse_lost(out: str, files: Sequence[Input]) -> None:
    complete = complete_files(files_below(out))
    if missing := [file.name for file in files if file.id not in complete]:
        raise UserError(
            f"--out {out} lacks predictions of {missing[0]}: check that all processes reach this "
            "folder by this name, and run the command again"
        )


def _report(outcomes: Iterable[Outcome], files: Sequence[Input]) -> dict[str, str]:
    """Show the progress and the repairs; return by file the reasons why files can't be read."""
    problems = {}
    size = sum(file.size for file in files)
    with tqdm(desc="predict", total=size, unit="B", unit_scale=True, disable=None) as bar:
        for outcome in outcomes:
            bar.update(outcome.size)
            report_repairs(outcome.file, outcome.repairs)
            if outcome.problem:
                problems[outcome.file] = outcome.problem
    return problems


def _rows(out: str, parts: Iterable[str]) -> int:
    return _sum(rows_in, out, parts)


def _sum(count: Callable[[str], int], out: str, parts: Iterable[str]) -> int:
    with ThreadPoolExecutor() as pool:
        return sum(pool.map(lambda part: count(join(out, part)), parts))


@contextmanager
def in_processes(
    number: int | None, worker: Worker, files: Sequence[Input]
) -> Iterator[Iterator[Outcome]]:
    """Predict files in several processes, each with its own model and share of the CPUs.

    Args:
        number: The number of processes. With 1, this process predicts. None chooses the number for
            the CPUs, or 1 if there is a GPU.
        worker: The work.
        files: The files.

    Raises:
        UserError: a process was killed.
    """
    wanted = number or _processes_for(files, worker)
    blocks = divide(files, wanted)
    number = min(wanted, len(blocks))
    if number == 1:
        yield map(worker, blocks)
        return
    threads = max(1, _cpus() // number)
    with ProcessPoolExecutor(number, get_context("spawn"), _start, (worker, threads)) as pool:
        try:
            futures = [pool.submit(_predict, block) for block in blocks]
            yield (future.result() for future in as_completed(futures))
        except BrokenProcessPool:
            raise UserError(
                "a process of the prediction was killed, perhaps for lack of memory: run the "
                "command again to continue, with fewer --workers"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                process.terminate()
            raise


def _processes_for(files: Iterable[Input], worker: Worker) -> int:
    loaded = [path for form in worker.forms for path in model_files(form).values()]
    weights = sum(path.stat().st_size for path in loaded)
    memory = psutil.virtual_memory().available // (MEMORY_PER_WORKER + 2 * weights)
    number = min(_cpus(), memory, sum(file.size for file in files) // BYTES_PER_WORKER)
    if number <= 1 or (worker.model.suffix != ".onnx" and _has_gpu()):
        return 1
    return number


def _has_gpu() -> bool:
    from ordinal.model.device import choose_device

    return choose_device("auto").type != "cpu"


def _cpus() -> int:
    """Return the number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_worker: Worker
"""The worker of this process."""


def _start(worker: Worker, threads: int) -> None:
    """Prepare a process of `in_processes`, which ends with its parent."""
    global _worker
    _worker = worker
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
    os._exit(1)


def _predict(block: Block) -> Outcome:
    return _worker(block)
