"""DVC's experiments: what a run said of the test rows, and many runs through the queue.

With the command line, the only part of the library that knows DVC.
"""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from tqdm import tqdm

from ordinal.common.errors import UserError
from ordinal.common.paths import STUDIES
from ordinal.experiments.revisions import reason

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue
POLL_SECONDS = 5


def arms_of(named: Sequence[str], overrides: Sequence[str]) -> dict[str, list[str]]:
    """The variants of a study and the parameters that each of them sets.

    `named` are arms as `NAME: KEY=VALUE KEY=VALUE …`. `overrides` are DVC's `-S`, each with one
    value or, as a grid, several (`train.loss=corn,emd`): the arms are all combinations.

    Raises:
        UserError: that is no way to write it, or it makes fewer than two arms.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import get_hydra_sweeps
    from hydra.errors import HydraException

    def points(option: str, settings: Sequence[str]) -> list[list[str]]:
        try:
            return [
                point["params.yaml"] for point in get_hydra_sweeps({"params.yaml": [*settings]})
            ]
        except (DvcException, HydraException) as error:
            raise UserError(f"{option} can't be read: {reason(error)}") from None

    grid = points(f"-S {' -S '.join(overrides)}", overrides)
    varied = [index for index in range(len(overrides)) if len({point[index] for point in grid}) > 1]
    arms: dict[str, list[str]] = {}
    for text in named or [":"]:
        name, colon, settings = text.partition(":")
        if not colon:
            raise UserError(f"--arm '{text}' has no colon: write it as 'NAME: KEY=VALUE …'")
        try:
            own = shlex.split(settings)
        except ValueError as error:
            raise UserError(f"--arm '{text}' can't be read: {error}") from None
        if len(points(f"--arm '{text}'", own)) > 1:
            raise UserError(f"--arm '{text}' is a grid, which -S alone can be: name each arm")
        for point in grid:
            where = [point[index].partition("=")[::2] for index in varied]
            place = [f"{key.rpartition('.')[2]}={value}" for key, value in where]
            if len(where) == 1:
                place = [where[0][1]]
            arm = " ".join([*name.split(), *place])
            if arm in arms:
                raise UserError(f"two arms are called '{arm}': name them otherwise")
            arms[arm] = [*own, *point]
    if len(arms) < 2:
        raise UserError(
            "a study compares at least two arms: give several with --arm, or -S KEY=VALUE,VALUE"
        )
    return arms


def run_study(arms: Mapping[str, Sequence[str]], seeds: int, jobs: int) -> dict[str, list[str]]:
    """Run each arm with each of the seeds 1 … `seeds`; what has been run is not run again.

    The runs are DVC experiments of the current commit, and the queue is DVC's: interrupted, it
    goes on in the background, and called again this waits for what is left.

    Returns the names of the experiments of each arm, a seed each.

    Raises:
        UserError: the working tree differs from the commit, a parameter does not exist, or a run
            failed.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    _refuse_changes()
    # The queue's workers are found, and run the stages, by PATH: with this very environment.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if jobs > 1:  # threads that wait for those of another run would slow all of them
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
    names: dict[str, list[str]] = {}
    with Repo() as repo:
        present = _finished(repo) | _pending(repo.experiments.celery_queue)
        # All arms of a seed before the next seed: what is cut short can still be compared.
        for seed in range(1, seeds + 1):
            for arm, settings in arms.items():
                overrides = [*settings, f"train.seed={seed}"]
                name = _experiment_name(arm, overrides)
                names.setdefault(arm, []).append(name)
                if name not in present:
                    try:
                        repo.experiments.run(queue=True, name=name, params=overrides)
                    except DvcException as error:
                        raise UserError(f"'{arm}' can't be queued: {reason(error)}") from None
        _wait(repo, {name for runs in names.values() for name in runs}, jobs)
    return names


def _wait(repo: "Repo", names: set[str], jobs: int) -> None:
    queue = repo.experiments.celery_queue
    finished = _finished(repo) & names
    with tqdm(total=len(names), initial=len(finished), unit="run", disable=None) as bar:
        while _pending(queue) & names:
            if any(queue.iter_queued()) and _workers(queue) < jobs:  # none yet, or one has died
                queue.start_workers(jobs)
            time.sleep(POLL_SECONDS)
            for name in sorted((_finished(repo) & names) - finished):
                finished.add(name)
                bar.update()
                if bar.disable:
                    print(f"study: {len(finished)} of {len(names)}: {name}", flush=True)
    if failed := sorted(names - _finished(repo)):
        raise UserError(
            f"{len(failed)} of {len(names)} runs failed ({', '.join(failed)}): "
            f"`dvc queue logs {failed[0]}` says why; the others are kept"
        )


def _finished(repo: "Repo") -> set[str]:
    """The experiments of the current commit."""
    return {name for named in repo.experiments.ls().values() for name, _ in named}


def _pending(queue: "LocalCeleryQueue") -> set[str]:
    """What is queued, and what runs; of a worker that was killed nothing runs any more.

    Queued ones are listed first: a run that starts meanwhile is then in both lists, not in none.
    """
    queued = {entry.name for entry in queue.iter_queued()}
    running = {entry.name for entry in queue.iter_active()} if _workers(queue) else set()
    return queued | running


def _workers(queue: "LocalCeleryQueue") -> int:
    """How many workers' processes live.

    DVC's own `worker_status` asks the workers, and takes a busy one, slow to answer, for dead.
    """
    living = 0
    for file in Path(queue.wdir).glob("dvc-exp-worker-*.pid"):
        with suppress(psutil.Error, ValueError):
            living += "queue-worker" in psutil.Process(int(file.read_text())).cmdline()
    return living


def _refuse_changes() -> None:
    """Results belong to a commit: of a tree that differs from it nobody could say what they are."""
    changes = ["git", "diff", "--quiet", "HEAD", "--", ".", f":!{STUDIES}"]
    if subprocess.run(changes, check=False).returncode:
        raise UserError(
            "the working tree has changes that are not committed: commit or stash them first, "
            "so that all runs of the study are of one commit"
        )


def _experiment_name(arm: str, overrides: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:8]
    return f"{re.sub('[^a-zA-Z0-9]+', '-', arm).strip('-')}-{digest}"
