"""SIGKILL at seeded random moments of `dvc repro`; the next one must end as if it had not been.

`python -m tests.faults` does so with the demo, the real encoder and the committed parameters, and
writes what came of it into docs/reliability.md: `make test-faults`. It takes hours: each draw is a
whole run of the pipeline, and more.
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
from pathlib import Path

from tqdm import tqdm

from ordinal.files import sha256, whole_file
from tests.conftest import ROOT, clone, environment, run_in, set_params, stages_run

PAGE = ROOT / "docs/reliability.md"
SEED = 1
KINDS = ("any",) * 8 + ("training",) * 5 + ("checkpoint",) * 4 + ("evaluate",) * 3
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
class Outcome:
    moment: Moment
    seconds: float
    stage: str
    """The one that ran when the run was killed, or the last before."""
    resumed: int | None
    """The step after which the training went on."""
    mended: bool
    """Whether DVC needed help first: `REMEDY`."""
    differ: tuple[str, ...]
    """Files that are not those of the uninterrupted run."""


def moments(kinds: tuple[str, ...], seed: int = SEED) -> list[Moment]:
    draw = random.Random(seed)
    return [Moment(kind, draw.uniform(0, 0.9)) for kind in kinds]


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
    for place in ("any", "train", "training", "evaluate"):
        assert run.wait_for(place), run.output()
        reached[place] = time.monotonic()
    assert run.process.wait() == 0, run.output()
    end = time.monotonic()
    return {
        "any": end - reached["any"],
        "training": reached["evaluate"] - reached["training"],
        "checkpoint": 0.5,
        "evaluate": end - reached["evaluate"],
    }


def kill(project: Path, moment: Moment, lengths: dict[str, float]) -> float | None:
    """Run the pipeline, and kill it; gives the seconds that it had, or None if it ended before."""
    run = Run(project)
    if not run.wait_for(moment.place):
        return None
    time.sleep(moment.share * lengths[moment.place])
    seconds = time.time() - run.start
    return seconds if run.stop(signal.SIGKILL) == -signal.SIGKILL else None


def go_on(project: Path) -> tuple[str, bool]:
    """Run the pipeline after it was killed: what it said, and whether DVC needed `REMEDY`."""
    run = run_in(project, "dvc", "repro")
    mended = run.returncode != 0 and any(words in run.stdout + run.stderr for words in TORN)
    if mended:
        assert run_in(project, "sh", "-c", REMEDY).returncode == 0
        run = run_in(project, "dvc", "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout, mended


def draw(
    make: Callable[[], Path], moment: Moment, lengths: dict[str, float], expected: dict[str, str]
) -> Outcome:
    """Kill one run of a project that `make` makes, let another go on, and compare."""
    project = make()
    seconds = kill(project, moment, lengths)
    while seconds is None:  # this run was faster than the one that was measured
        shutil.rmtree(project)
        moment = Moment(moment.place, moment.share / 2)
        seconds = kill(make(), moment, lengths)
    killed = stages_run((project.parent / f"{project.name}.log").read_text())
    output, mended = go_on(project)
    step = re.search(r"train: goes on after step (\d+)", output)
    found = result(project)
    differ = {name for name in expected.keys() | found if expected.get(name) != found.get(name)}
    return Outcome(
        moment,
        seconds,
        killed[-1] if killed else "–",
        int(step[1]) if step else None,
        mended,
        tuple(sorted(differ)),
    )


def table(outcomes: list[Outcome]) -> str:
    rows = [
        "| killed after | while in stage | aimed at | training went on after step | same bytes |",
        "|---:|---|---|---:|---|",
    ]
    for outcome in sorted(outcomes, key=lambda outcome: outcome.seconds):
        verdict = f"no: {', '.join(outcome.differ)}" if outcome.differ else "yes"
        if outcome.mended:
            verdict += f", after `{REMEDY}`"
        step = "–" if outcome.resumed is None else str(outcome.resumed)
        rows.append(
            f"| {outcome.seconds:.1f} s | {outcome.stage} | {outcome.moment.place} "
            f"| {step} | {verdict} |"
        )
    same = sum(not outcome.differ for outcome in outcomes)
    rows += ["", f"{same} of {len(outcomes)} ended in the bytes of the uninterrupted run."]
    return "\n".join(rows)


def write_table(text: str, page: Path = PAGE) -> None:
    """Put it between the two comments of the page that are for it."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    with whole_file(page) as path:
        path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
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
        outcomes = []
        for moment in tqdm(moments(KINDS), unit="draw", disable=None):
            shutil.rmtree(project)
            outcomes.append(draw(make, moment, lengths, expected))
            print(outcomes[-1], flush=True)
    write_table(table(outcomes))
    print(table(outcomes))
    if any(outcome.differ for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
