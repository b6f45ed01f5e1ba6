"""A pipeline that is killed or stopped: the next `dvc repro` ends with the same bytes.

These tests run a small project. `make test-faults` does the same with the demo.
"""

import random
import re
import signal
from pathlib import Path

import pytest

from tests.conftest import (
    copy,
    record_results,
    results_of,
    run_all_stages,
    run_in,
    set_params,
    small_clone,
    stages_run,
)
from tests.pipeline.faults import Run, finish, kill, repair

LONGER = {"train.epochs": 30, "train.checkpoint_every": 1, "evaluate.resamples": 1000}
RESUMED = r"train: .* after step (\d+)"


@pytest.fixture(scope="module")
def undisturbed(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The results of a longer training that nothing interrupts."""
    project = copy(_finished, tmp_path_factory.mktemp("undisturbed"))
    set_params(project, LONGER)
    run_all_stages(project)
    record_results(project)
    return results_of(project)


@pytest.mark.slow
def test_a_first_run_that_is_interrupted_everywhere_ends_with_the_same_bytes(
    undisturbed: dict[str, str], tiny_encoder: Path, tmp_path: Path
) -> None:
    project = small_clone(tmp_path / "project", tiny_encoder)
    set_params(project, LONGER)
    chance = random.Random(1)
    kill(project, "split", chance.uniform(0, 1))
    output = kill(project, "training", chance.uniform(0, 0.5))
    assert "download" not in stages_run(output)

    for number, command, status in (
        (signal.SIGTERM, ("python", "-m", "stages.train"), 143),
        (signal.SIGINT, ("dvc", "repro"), 255),
    ):
        run = Run(project, *command)
        assert run.wait_for("training"), run.output()
        assert run.stop(number) == status
        assert "stopped: " in run.output()
        assert "Traceback" not in run.output()
        output += run.output()

    output += kill(project, "evaluate", 0.1)
    assert stages_run(output)[-1] == "evaluate"
    steps = [int(step) for step in re.findall(RESUMED, output)]
    assert len(steps) == 3
    assert steps == sorted(set(steps))
    assert "train" not in stages_run(finish(project))
    assert results_of(project) == undisturbed


@pytest.mark.slow
def test_an_experiment_in_a_temporary_copy_resumes_too(
    finished_project: Path, undisturbed: dict[str, str]
) -> None:
    set_params(finished_project, LONGER)
    command = ("dvc", "exp", "run", "--temp", "--name")
    run = Run(finished_project, *command, "killed")
    assert run.wait_for("training"), run.output()
    run.stop(signal.SIGKILL)
    again = run_in(finished_project, *command, "again")
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(RESUMED, again.stdout)
    assert run_in(finished_project, "dvc", "exp", "apply", "again").returncode == 0
    assert results_of(finished_project) == undisturbed


@pytest.mark.parametrize("file", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_a_truncated_file_of_dvc_is_repaired(file: str, finished_project: Path) -> None:
    """DVC writes these files in place, so that a kill at that moment leaves them truncated."""
    expected = results_of(finished_project)
    assert (finished_project / file).stat().st_size > 0
    (finished_project / file).write_bytes(b"")
    failed = run_in(finished_project, "dvc", "repro")
    assert failed.returncode != 0
    assert repair(finished_project, failed.stdout + failed.stderr)
    assert stages_run(finish(finished_project)) == []
    assert results_of(finished_project) == expected
