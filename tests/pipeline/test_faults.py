"""The pipeline, killed and stopped: the next `dvc repro` ends in the same bytes.

These are a few draws, of a small project; `make test-faults` takes more, of the demo.
"""

import random
import shutil
import signal
from pathlib import Path

import pytest

from tests.conftest import run_in, set_params, small_clone, stages_run
from tests.pipeline import faults
from tests.pipeline.faults import Moment, Run

LONGER = {"train.epochs": 30, "train.checkpoint_every": 1, "evaluate.resamples": 1000}
STOPPED = "stopped: run it again, and it goes on from what is done"


@pytest.fixture
def longer(finished_project: Path) -> Path:
    """A finished project in which `train` and `evaluate` are to be done again, for longer."""
    set_params(finished_project, LONGER)
    return finished_project


@pytest.fixture(scope="module")
def uninterrupted(
    _finished: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], dict[str, float]]:
    """What it leaves behind, and how long it takes."""
    project = tmp_path_factory.mktemp("uninterrupted") / "project"
    shutil.copytree(_finished, project, symlinks=True)
    set_params(project, LONGER)
    lengths = faults.lengths_of(project)
    return faults.result(project), lengths


@pytest.mark.slow
def test_killed_twice_in_a_first_run(
    finished_project: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    project = small_clone(tmp_path / "first", tiny_encoder)
    for moment in (Moment("split", 0.5), Moment("train", 0.5)):
        assert faults.kill(project, moment, {"split": 4.0, "train": 4.0}) is not None
    output = faults.go_on(project).output
    assert faults.result(project) == faults.result(finished_project)
    assert "download" not in stages_run(output)


@pytest.mark.slow
def test_killed_in_training_twice_and_in_evaluation(
    longer: Path,
    uninterrupted: tuple[dict[str, str], dict[str, float]],
    tmp_path: Path,
) -> None:
    expected, lengths = uninterrupted

    def make() -> Path:
        return Path(shutil.copytree(longer, tmp_path / "killed", symlinks=True))

    # Of these stages, measured beside other tests, only the first part is sure to be there again.
    moments = [*faults.moments(("training", "training"), random.Random(1)), Moment("evaluate", 0.1)]
    drawn = faults.draw(make, moments, lengths, expected)
    assert drawn.differ == ()
    first, second, last = drawn.kills
    assert (first.stage, second.stage, last.stage) == ("train", "train", "evaluate")
    assert first.resumed is not None
    assert second.resumed is not None
    assert first.resumed < second.resumed
    assert last.resumed is None


@pytest.mark.slow
def test_stopped_in_training_it_says_so_and_goes_on(
    longer: Path, uninterrupted: tuple[dict[str, str], dict[str, float]]
) -> None:
    stage = ("python", "-m", "stages.train")
    for command, number, status in (
        (stage, signal.SIGTERM, 143),
        (stage, signal.SIGINT, 130),
        (("dvc", "repro"), signal.SIGINT, 255),
    ):
        run = Run(longer, *command)
        assert run.wait_for("training")
        assert run.stop(number) == status
        assert STOPPED in run.output()
        assert "Traceback" not in run.output()
    assert "train: resumes after step" in faults.go_on(longer).output
    assert faults.result(longer) == uninterrupted[0]


@pytest.mark.slow
def test_an_experiment_in_a_temporary_copy_goes_on_too(
    longer: Path, uninterrupted: tuple[dict[str, str], dict[str, float]]
) -> None:
    command = ("dvc", "exp", "run", "--temp", "--name")
    run = Run(longer, *command, "killed")
    assert run.wait_for("training"), run.output()
    run.stop(signal.SIGKILL)
    again = run_in(longer, *command, "again")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "train: resumes after step" in again.stdout
    assert run_in(longer, "dvc", "exp", "apply", "again").returncode == 0
    assert faults.result(longer) == uninterrupted[0]


@pytest.mark.parametrize("file", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_a_file_of_dvcs_own_that_is_cut_off_is_mended_as_documented(
    file: str, finished_project: Path
) -> None:
    """DVC writes them in place: killed at just that moment, it leaves them cut off."""
    expected = faults.result(finished_project)
    assert (finished_project / file).stat().st_size > 0
    (finished_project / file).write_bytes(b"")
    run = faults.go_on(finished_project)
    assert run.mended
    assert stages_run(run.output) == []
    assert faults.result(finished_project) == expected
    assert faults.REMEDY in faults.PAGE.read_text(encoding="utf-8")


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"Before.\n\n{faults.BEGIN}\nold\n{faults.END}\n\nAfter.\n")
    draws = [
        faults.Draw(
            [
                faults.Outcome(Moment("any", 0.1), 3.0, "split", None, True),
                faults.Outcome(Moment("training", 0.5), 61.234, "train", 110, False),
            ],
            differ=(),
        ),
        faults.Draw(
            [faults.Outcome(Moment("evaluate", 0.5), 9.0, "evaluate", None, False)],
            differ=("data/split/a",),
        ),
    ]
    faults.write_table(faults.table(draws), page)
    text = page.read_text()
    assert text.startswith(f"Before.\n\n{faults.BEGIN}\n\n| run | killed after |")
    assert f"| 1 | 3.0 s | split | any | –, after `{faults.REMEDY}` |" in text
    assert "| 1 | 61.2 s | train | training | 110 |" in text
    assert "| 2 | 9.0 s | evaluate | evaluate | – |" in text
    assert "Run 2 ended in other files: data/split/a." in text
    assert "Killed 3 times, 1 of 2 runs ended in the bytes of the uninterrupted one." in text
    assert text.endswith(f"\n{faults.END}\n\nAfter.\n")
    assert "old" not in text
