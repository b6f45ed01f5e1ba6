"""Run experiments of DVC through its queue: the variants of a study, or a batch of trials."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from tqdm import tqdm

from ordinal.common.errors import UserError, one_line
from ordinal.common.paths import AUDIT_RESULTS, SEARCH_RESULTS, STUDIES, STUDY_RESULTS
from ordinal.experiments.overrides import SEED

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue

RESULTS = (STUDIES, STUDY_RESULTS, SEARCH_RESULTS, AUDIT_RESULTS)
"""Folders that may have changes: no run depends on them."""
POLL_SECONDS = 5
IDLE_POLLS = 3  # with nothing pending, after which the runs that are left have failed


def run_variants(
    variants: Mapping[str, Sequence[str]], seeds: int, jobs: int, what: str = "study"
) -> dict[str, list[str]]:
    """Run each variant, given by its DVC overrides, with the seeds 1 to `seeds`, `jobs` at a time.

    The runs are DVC experiments of the current commit. Runs that this commit already has are not
    repeated. If this function is interrupted, DVC's workers continue in the background, and the
    next call waits for the runs that are left.

    Without a terminal, it logs each run that ends, in a line that begins with `what`.

    Returns the names of the experiments of each variant, one per seed.

    Raises:
        UserError: the queue can't work in this folder, the working tree differs from the commit,
            DVC refuses a run, or a run failed.
    """
    # All variants of a seed come before the next seed, so that a partial study can be compared.
    runs = {
        (variant, seed): [*overrides, f"{SEED}={seed}"]
        for seed in range(1, seeds + 1)
        for variant, overrides in variants.items()
    }
    names = {run: experiment_name(run[0], overrides) for run, overrides in runs.items()}
    with open_queue(jobs) as repo:
        present = {*finished_runs(repo), *pending_runs(repo.experiments.celery_queue)}
        for run, overrides in runs.items():
            if names[run] not in present:
                enqueue(repo, names[run], overrides)
        if failed := _wait(repo, set(names.values()), jobs, what):
            raise UserError(
                f"{len(failed)} of {len(names)} runs failed ({', '.join(failed)}): see "
                f"`dvc queue logs {failed[0]}` for the reason; the other runs are kept"
            )
    return {variant: [names[variant, seed] for seed in range(1, seeds + 1)] for variant in variants}


@contextmanager
def open_queue(jobs: int) -> Iterator["Repo"]:
    """Yield DVC's repository, once it is certain that its queue works here for `jobs` runs at once.

    Raises:
        UserError: the queue can't work in this folder, or the working tree differs from the commit.
    """
    from dvc.repo import Repo

    _prepare_environment(jobs)
    with Repo() as repo:
        _refuse_folder(
            repo.root_dir, str(repo.cache.local_cache_dir), str(repo.config.read("local"))
        )
        _refuse_changes()
        yield repo


def _refuse_folder(project: str, cache: str, settings: str) -> None:
    """Refuse a folder in which DVC would lose the runs of its queue, before any of them starts.

    DVC addresses the folder of a run by a URL in which it escapes nothing. With a `%` in the path
    the run even finishes, and then its results are gone. DVC also writes its local settings and the
    path of its cache to a file in ASCII (`dvc.repo.experiments.executor.local`, DVC 3.67).
    """
    if odd := [character for character in "#%?" if character in project]:
        raise UserError(
            f"DVC's queue does not work in {project}, because of the {odd[0]} in the path: rename "
            "the folder, or move the project"
        )
    if not cache.isascii():
        raise UserError(
            f"DVC's queue does not work with its cache in {cache}, because the path is not ASCII: "
            "move the cache to another folder and set it with `dvc cache dir --local FOLDER`, or "
            "move the project"
        )
    if not settings.isascii():
        raise UserError(
            "DVC's queue does not work with settings that are not ASCII: change them in "
            ".dvc/config.local"
        )


def refuse_untracked(files: Iterable[Path]) -> None:
    """Refuse local files that neither git nor DVC tracks: runs in the queue would not have them.

    Raises:
        UserError: a file or folder of the project is not tracked.
    """
    for path in sorted(files):
        if path.is_absolute():
            continue
        tracked = [path, *(f"{parent}.dvc" for parent in (path, *path.parents[:-1]))]
        listed = ["git", "ls-files", "--", *map(str, tracked)]
        if not subprocess.run(listed, capture_output=True, check=False).stdout:
            raise UserError(
                f"{path} is not under version control, so runs in DVC's queue would not have it: "
                f"run `{shlex.join(['dvc', 'add', str(path)])}`, and commit the .dvc file"
            )


def _refuse_changes() -> None:
    """Refuse uncommitted changes: the runs are experiments of a commit, so it has to be theirs."""
    ignored = [f":!{folder}" for folder in RESULTS]
    changes = ["git", "diff", "--quiet", "HEAD", "--", ".", *ignored]
    if subprocess.run(changes, check=False).returncode:
        raise UserError(
            "the working tree has changes that are not committed: commit or stash them first, "
            "so that all runs are of one commit"
        )


def _prepare_environment(jobs: int) -> None:
    """Set the environment that the queue's workers, and the stages they run, inherit."""
    # Workers find `dvc` and `python` on PATH, which lacks an environment that is not activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if jobs > 1:  # more threads than cores would slow down all runs
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))


def experiment_name(variant: str, overrides: Sequence[str]) -> str:
    """Return a name that is the same for the same overrides, and valid as a Git reference."""
    digest = hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:8]
    readable = re.sub("[^a-zA-Z0-9]+", "-", variant).strip("-")
    return f"{readable or 'variant'}-{digest}"


def enqueue(repo: "Repo", name: str, overrides: Sequence[str]) -> None:
    """Add a run to DVC's queue.

    Raises:
        UserError: DVC refuses it.
    """
    from dvc.exceptions import DvcException

    try:
        repo.experiments.run(queue=True, name=name, params=overrides)
    except DvcException as error:
        raise UserError(f"'{name}' can't be queued: {one_line(error)}") from None


def _wait(repo: "Repo", names: set[str], jobs: int, what: str) -> list[str]:
    """Wait until all runs of `names` have ended, report progress, and return those that failed."""
    finished = finished_runs(repo).keys() & names
    with tqdm(total=len(names), initial=len(finished), unit="run", disable=None) as bar:
        for new in as_finished(repo, names - finished, jobs):
            for name in sorted(new):
                finished.add(name)
                bar.update()
                if bar.disable:
                    print(f"{what}: {len(finished)} of {len(names)}: {name}", flush=True)
    return sorted(names - finished)


def as_finished(repo: "Repo", names: set[str], jobs: int) -> Iterator[set[str]]:
    """Keep `jobs` workers running until all runs of `names` have ended.

    Yields those that finished since the last time, which may be none, every few seconds. The runs
    that failed are not among them. A run that DVC is moving from one of its lists to another is in
    none for a moment.
    """
    queue = repo.experiments.celery_queue
    finished: set[str] = set()
    idle = 0
    while True:
        new = (finished_runs(repo).keys() & names) - finished
        finished |= new
        yield new
        if finished == names or idle == IDLE_POLLS:
            return
        if any(queue.iter_queued()) and _workers(queue) < jobs:  # at the start, or one died
            queue.start_workers(jobs)
        time.sleep(POLL_SECONDS)
        idle = 0 if pending_runs(queue) & names else idle + 1


def finished_runs(repo: "Repo") -> dict[str, str]:
    """Return the commit of each of the current commit's experiments, by name."""
    return {name: commit for named in repo.experiments.ls().values() for name, commit in named}


def failed_runs(repo: "Repo") -> dict[str, str]:
    """Return the commit of the parameters of each run of the current commit that failed."""
    head = repo.scm.get_rev()
    failed = [result.entry for result in repo.experiments.celery_queue.iter_failed()]
    return {entry.name: entry.stash_rev for entry in failed if entry.baseline_rev == head}


def pending_runs(queue: "LocalCeleryQueue") -> set[str]:
    """Return the names of the runs of the current commit that are queued or running.

    DVC lists the run of a killed worker as active; without any living worker none is.
    """
    # Queued runs first: one that starts between the two calls is then in both sets, not in none.
    entries = [*queue.iter_queued()]
    if _workers(queue):
        entries += queue.iter_active()
    head = queue.repo.scm.get_rev()
    return {entry.name for entry in entries if entry.baseline_rev == head}


def left_runs(repo: "Repo") -> set[str]:
    """Return the runs that are queued or running, and make sure that no other one is just ending.

    While DVC moves a run from one of its lists to another, it is in none, and a worker lives.
    """
    queue = repo.experiments.celery_queue
    for _ in range(IDLE_POLLS):
        if (left := pending_runs(queue)) or not _workers(queue):
            return left
        time.sleep(POLL_SECONDS)
    return pending_runs(queue)


def _workers(queue: "LocalCeleryQueue") -> int:
    """Return the number of living worker processes.

    DVC's `worker_status` asks the workers, and takes one that is too busy to answer for dead.
    """
    living = 0
    for file in Path(queue.wdir).glob("dvc-exp-worker-*.pid"):
        with suppress(psutil.Error, ValueError):
            living += "queue-worker" in psutil.Process(int(file.read_text())).cmdline()
    return living
