"""SIGKILL at seeded random moments of `dvc repro`; in the end all must be as if it had not been.

`python -m tests.pipeline.faults` does so with the demo, the real encoder and the committed parameters,
and writes what came of it into docs/reliability.md: `make test-faults`. Each run of the pipeline is
killed several times, since it goes on after each.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tqdm import tqdm

from ordinal.common.files import atomic_file, sha256
from tests.conftest import ROOT, clone, environment, run_in, set_params, stages_run

PAGE = ROOT / "docs/reliability.md"
SEED = 1
RUNS = 4
KINDS = ("any", "training", "checkpoint", "training", "evaluate")  # of one run, in this order
# Of the time in a place, the share that may be over at most: what comes later has to be reached.
LATEST = {"any": 0.3, "training": 0.3, "checkpoint": 0.9, "evaluate": 0.9}
BEGIN, END = "<!-- made by `make test-faults` -->", "<!-- end -->"
# What DVC says of a file of its own that it was killed at writing, and what then helps.
TORN = ("'./dvc.lock' is invalid", "'./dvc.lock' validation failed", "RWLock-file")
REMEDY = "git checkout dvc.lock && rm -f .dvc/tmp/rwlock"


@dataclass(frozen=True)
class Moment:
    """A share of the time from where a run reaches some place to where it leaves it.

    Places are a stage, `training` (from the first checkpoint on), `checkpoint` (one being written)
    and `any` (the whole run).
    """

    place: str
    share: float


@dataclass(frozen=True)
class Attempt:
    """A `dvc repro`, killed or not."""

    seconds: float | None
    """After which it was killed."""
    output: str
    mended: bool
    """Whether DVC needed help before it could run: `REMEDY`."""


@dataclass(frozen=True)
class Outcome:
    """Of one kill."""

    moment: Moment
    seconds: float
    """Since that `dvc repro` began."""
    stage: str
    """The one that ran when the run was killed, or the last before."""
    resumed: int | None
    """The step after which the training went on."""
    mended: bool
    """Whether DVC needed help first: `REMEDY`."""


@dataclass(frozen=True)
class Draw:
    """A run that was killed, once or more, and went on to its end."""

    kills: list[Outcome]
    differ: tuple[str, ...]
    """Files that are not those of the uninterrupted run."""


def moments(kinds: tuple[str, ...], draw: random.Random) -> list[Moment]:
    return [Moment(kind, draw.uniform(0, LATEST[kind])) for kind in kinds]


def result(project: Path) -> dict[str, str]:
    """Hashes of all that a run leaves behind: results, DVC's record of them, and leftovers."""
    folders = ("data", "models", "metrics", "checkpoints")
    files = [path for folder in folders for path in (project / folder).rglob("*")]
    return {
        str(path.relative_to(project)): sha256(path)
        for path in [project / "dvc.lock", *files]
        if path.is_file()
    }


def modified(file: Path) -> float:
    """When it was last written to; 0 if it is gone."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0


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
        if place == "any":
            return True
        if place in ("training", "checkpoint"):
            name = "draft" if place == "checkpoint" else "*-*"
            files = self.project.glob(f"checkpoints/*/{name}")
            return any(modified(file) > self.start for file in files)
        return f"Running stage '{place}'" in self.output()

    def wait_for(self, place: str) -> bool:
        """Whether it came there before it ended."""
        while not self.has_reached(place):
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        return True

    def stop(self, number: signal.Signals) -> int:
        """Send a signal to all its processes; returns the first one's exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        return self.process.wait()


def lengths_of(project: Path) -> dict[str, float]:
    """Run the pipeline without interruption: the seconds that it spends in each place."""
    run = Run(project)
    reached = {}
    for place in ("any", "train", "training", "evaluate", "card"):
        assert run.wait_for(place), run.output()
        reached[place] = time.monotonic()
    assert run.process.wait() == 0, run.output()
    end = time.monotonic()
    return {
        "any": end - reached["any"],
        "training": reached["evaluate"] - reached["training"],
        "checkpoint": 0.5,
        "evaluate": reached["card"] - reached["evaluate"],
    }


def kill(project: Path, moment: Moment, lengths: dict[str, float]) -> Attempt | None:
    """Run the pipeline, and kill it; None if it ended before."""
    run = Run(project)
    reached = run.wait_for(moment.place)
    mended = not reached and mend(project, run.output())
    if mended:
        run = Run(project)
        reached = run.wait_for(moment.place)
    if not reached:
        assert run.process.returncode == 0, run.output()
        return None
    time.sleep(moment.share * lengths[moment.place])
    seconds = time.time() - run.start
    status = run.stop(signal.SIGKILL)
    assert status in (0, -signal.SIGKILL), run.output()
    return Attempt(seconds, run.output(), mended) if status else None


def mend(project: Path, output: str) -> bool:
    """Whether DVC found a file of its own cut off, and was helped."""
    torn = any(words in output for words in TORN)
    if torn:
        assert run_in(project, "sh", "-c", REMEDY).returncode == 0
    return torn


def go_on(project: Path) -> Attempt:
    """Run the pipeline to its end after it was killed."""
    run = run_in(project, "dvc", "repro")
    mended = run.returncode != 0 and mend(project, run.stdout + run.stderr)
    if mended:
        run = run_in(project, "dvc", "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    return Attempt(None, run.stdout, mended)


def draw(
    make: Callable[[], Path],
    moments: list[Moment],
    lengths: dict[str, float],
    expected: dict[str, str],
) -> Draw:
    """Kill a run of a project that `make` makes at each of the moments, let it end, and compare."""
    project = make()
    attempts: list[Attempt] = []
    while len(attempts) < len(moments):
        attempt = kill(project, moments[len(attempts)], lengths)
        if attempt is not None:
            attempts.append(attempt)
        else:  # this run was faster than the one that was measured
            shutil.rmtree(project)
            moments = [Moment(moment.place, moment.share / 2) for moment in moments]
            project, attempts = make(), []
    attempts.append(go_on(project))
    found = result(project)
    kills = []
    for moment, (killed, following) in zip(moments, pairwise(attempts), strict=True):
        stages = stages_run(killed.output)
        step = re.search(r"train: resumes after step (\d+)", following.output)
        kills.append(
            Outcome(
                moment,
                killed.seconds,
                stages[-1] if stages else "–",
                int(step[1]) if step else None,
                following.mended,
            )
        )
    differ = {name for name in expected.keys() | found if expected.get(name) != found.get(name)}
    return Draw(kills, tuple(sorted(differ)))


def table(draws: list[Draw]) -> str:
    rows = [
        "| run | killed after | while in stage | aimed at | training went on after step |",
        "|---:|---:|---|---|---:|",
    ]
    for number, drawn in enumerate(draws, start=1):
        for killed in drawn.kills:
            step = "–" if killed.resumed is None else str(killed.resumed)
            remedy = f", after `{REMEDY}`" if killed.mended else ""
            rows.append(
                f"| {number} | {killed.seconds:.1f} s | {killed.stage} | {killed.moment.place} "
                f"| {step}{remedy} |"
            )
    rows.append("")
    rows += [
        f"Run {number} ended in other files: {', '.join(drawn.differ)}."
        for number, drawn in enumerate(draws, start=1)
        if drawn.differ
    ]
    same = sum(not drawn.differ for drawn in draws)
    kills = sum(len(drawn.kills) for drawn in draws)
    rows.append(
        f"Killed {kills} times, {same} of {len(draws)} runs ended in the bytes of the "
        "uninterrupted one."
    )
    return "\n".join(rows)


def write_table(text: str, page: Path = PAGE) -> None:
    """Put it between the two comments of the page that are for it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    with atomic_file(page) as path:
        path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    del os.environ["OMP_NUM_THREADS"]  # here nothing else runs
    with tempfile.TemporaryDirectory() as temporary:
        # The encoder is brought once; the draws take it from there.
        source = clone(Path(temporary) / "source")
        assert run_in(source, "dvc", "repro", "pretrained").returncode == 0
        encoder = str(source / "data/pretrained")

        def make() -> Path:
            project = clone(Path(temporary) / "project")
            set_params(project, {"model.name": encoder})
            return project

        project = make()
        lengths = lengths_of(project)
        expected = result(project)
        draws = []
        chance = random.Random(SEED)
        for _ in tqdm(range(RUNS), unit="run", disable=None):
            shutil.rmtree(project)
            draws.append(draw(make, moments(KINDS, chance), lengths, expected))
            print(draws[-1], flush=True)
    write_table(table(draws))
    print(table(draws))
    if any(drawn.differ for drawn in draws):
        sys.exit(1)


if __name__ == "__main__":
    main()
