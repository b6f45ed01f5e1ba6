"""Kill `dvc repro` at random moments, and compare the results with those of an undisturbed run.

`python -m tests.pipeline.faults` (`make test-faults`) does so with the demo, the real encoder and
the committed parameters. test_faults.py does so with a small project.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import clone, environment, results_of, run_in, set_params

SEED = 1
RUNS = 4
# Where each run is killed, in this order, and the longest time (s) that it may spend there.
PLACES = (("start", 60), ("training", 60), ("checkpoint", 0.5), ("training", 60), ("evaluate", 20))
# What DVC prints when it was killed while it wrote one of its own files, and what then helps.
TRUNCATED = ("'./dvc.lock' is invalid", "'./dvc.lock' validation failed", "RWLock-file")
REMEDY = "git checkout dvc.lock && rm -f .dvc/tmp/rwlock"


class Run:
    """A `dvc repro`, or another command, in a process group of its own."""

    def __init__(self, project: Path, *command: str) -> None:
        self.project = project
        self.log = project.parent / f"{project.name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command or ("dvc", "repro"),
                cwd=project,
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.start = time.time()

    def output(self) -> str:
        return self.log.read_text()

    def has_reached(self, place: str) -> bool:
        """Return whether a stage has started, or a checkpoint is complete or being written."""
        if place == "start":
            return True
        if place in ("training", "checkpoint"):
            name = "draft" if place == "checkpoint" else "*-*"
            files = self.project.glob(f"checkpoints/*/{name}")
            return any(modified(file) > self.start for file in files)
        return f"Running stage '{place}'" in self.output()

    def wait_for(self, place: str) -> bool:
        """Return True when the run reaches a place, False if it ends before."""
        while not self.has_reached(place):
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        return True

    def stop(self, number: signal.Signals) -> int:
        """Send a signal to all processes of the run, and return the first one's exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        return self.process.wait()


def modified(file: Path) -> float:
    """Return the time of the last change of a file, or 0 if the file is gone."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0


def kill(project: Path, place: str, seconds: float) -> str:
    """Kill `dvc repro` some seconds after it reaches a place, and return what it printed."""
    run = Run(project)
    if not run.wait_for(place) and repair(project, run.output()):
        run = Run(project)
        run.wait_for(place)
    time.sleep(seconds)
    status = run.stop(signal.SIGKILL)
    assert status in (0, -signal.SIGKILL), run.output()
    return run.output()


def finish(project: Path) -> str:
    """Run the pipeline to its end after it was killed, and return what it prints."""
    run = run_in(project, "dvc", "repro")
    if run.returncode and repair(project, run.stdout + run.stderr):
        run = run_in(project, "dvc", "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def repair(project: Path, output: str) -> bool:
    """Restore DVC's own files if DVC reports that one is truncated; return whether it did."""
    if not any(words in output for words in TRUNCATED):
        return False
    assert run_in(project, "sh", "-c", REMEDY).returncode == 0
    return True


def main() -> None:
    del os.environ["OMP_NUM_THREADS"]  # no other tests run at the same time
    with tempfile.TemporaryDirectory() as temporary:
        # The encoder is downloaded once, and the runs copy it.
        source = clone(Path(temporary) / "source")
        assert run_in(source, "dvc", "repro", "pretrained").returncode == 0
        project = clone(Path(temporary) / "project")
        set_params(project, {"model.name": str(source / "data/pretrained")})
        untouched = shutil.copytree(project, Path(temporary) / "untouched", symlinks=True)
        finish(project)
        expected = results_of(project)
        chance = random.Random(SEED)
        for number in range(1, RUNS + 1):
            shutil.rmtree(project)
            shutil.copytree(untouched, project, symlinks=True)
            for place, longest in PLACES:
                seconds = chance.uniform(0, longest)
                kill(project, place, seconds)
                print(f"run {number}: killed {seconds:.1f} s after {place}", flush=True)
            finish(project)
            if results_of(project) != expected:
                sys.exit(f"run {number} has other results than an undisturbed run")
            print(f"run {number}: the same results as an undisturbed run", flush=True)


if __name__ == "__main__":
    main()
