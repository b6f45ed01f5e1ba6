"""A study through DVC's queue: what its arms are, that it goes on, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dvc.api
import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.experiments.queue import _pending, _wait, arms_of
from tests.conftest import environment, run_in

STUDY = ("ordinal", "study", "losses", "-S", "train.loss=corn,emd", "-S", "train.epochs=1")


def test_a_grid_makes_an_arm_of_each_combination() -> None:
    assert arms_of([], ["train.loss=corn,emd", "train.epochs=1"]) == {
        "corn": ["train.loss=corn", "train.epochs=1"],
        "emd": ["train.loss=emd", "train.epochs=1"],
    }
    grid = arms_of([], ["train.loss=corn,emd", "train.lr=1e-3,2e-3"])
    assert list(grid) == [
        "loss=corn lr=0.001",
        "loss=corn lr=0.002",
        "loss=emd lr=0.001",
        "loss=emd lr=0.002",
    ]


def test_named_arms_set_what_they_say_and_what_all_share() -> None:
    assert arms_of(["ours:", "theirs: train.lr=5e-5 train.clip=null"], ["train.epochs=3"]) == {
        "ours": ["train.epochs=3"],
        "theirs": ["train.lr=5e-5", "train.clip=null", "train.epochs=3"],
    }


@pytest.mark.parametrize(
    ("named", "overrides", "complaint"),
    [
        (["ours"], [], "'ours' has no colon"),
        ([], ["train.loss=corn"], "at least two arms"),
        (["one:", "one:", "two:"], [], "two arms are called 'one'"),
        (["one: train.loss=corn,emd", "two:"], [], "'one: train.loss=corn,emd' is a grid"),
        (["one: train.lr", "two:"], [], "--arm 'one: train.lr' can't be read"),
        (["one: train.loss='corn", "two:"], [], "can't be read: No closing quotation"),
        ([], ["train.loss=[["], "can't be read"),
    ],
)
def test_arms_that_are_none_are_refused(
    named: list[str], overrides: list[str], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        arms_of(named, overrides)


@pytest.mark.slow
def test_a_study_is_run_once_extended_and_compared(finished_project: Path) -> None:
    first = run_in(finished_project, *STUDY, "--seeds", "1")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "corn" in first.stdout
    assert "take the test rows for chance" in " ".join(first.stdout.split())
    queued = len(experiments(finished_project))
    assert queued == 2

    # A second seed: two more runs, not four, and the table speaks of both.
    second = run_in(finished_project, *STUDY, "--seeds", "2", "--jobs", "2", "--reference", "emd")
    assert second.returncode == 0, second.stdout + second.stderr
    names = experiments(finished_project)
    assert len(names) == 4
    table = pd.read_csv(finished_project / "metrics/studies/losses.csv").set_index("arm")
    assert list(table.index) == ["corn", "emd"]
    assert (finished_project / "metrics/studies/losses.svg").read_text().startswith("<?xml")

    # The figures are those of the runs themselves.
    for arm in table.index:
        measured = []
        for name in names:
            if name.startswith(f"{arm}-"):
                metrics = dvc.api.read("metrics/details.json", str(finished_project), name)
                measured.append(json.loads(metrics)["test"]["mae"])
        assert table["mean"][arm] == pytest.approx(sum(measured) / 2, abs=1e-5)


def experiments(project: Path) -> list[str]:
    return run_in(project, "dvc", "exp", "list", "--name-only").stdout.split()


def test_a_run_that_fails_is_named_and_the_others_are_kept(finished_project: Path) -> None:
    run = run_in(
        finished_project, "ordinal", "study", "lr", "-S", "train.lr=1e-3,1e30", "--seeds", "1"
    )
    assert run.returncode == 1
    assert "error: 1 of 2 runs failed (1e-30-" in run.stderr
    assert "dvc queue logs" in run.stderr
    assert len(experiments(finished_project)) == 1


def test_a_run_is_pending_while_its_workers_process_lives(tmp_path: Path) -> None:
    queue: Any = SimpleNamespace(
        wdir=tmp_path,
        iter_queued=lambda: [SimpleNamespace(name="queued")],
        iter_active=lambda: [SimpleNamespace(name="running")],
        worker_status=dict,  # too busy to answer
    )
    assert _pending(queue) == {"queued"}
    sleep = [sys.executable, "-c", "input()", "queue-worker"]
    with subprocess.Popen(sleep, stdin=subprocess.PIPE) as worker:
        (tmp_path / "dvc-exp-worker-1.pid").write_text(str(worker.pid))
        assert _pending(queue) == {"queued", "running"}
        worker.kill()
        worker.wait()
        assert _pending(queue) == {"queued"}


def test_a_worker_that_died_is_replaced_while_something_is_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    living, queued, started = [2, 1, 1, 2], [["c"], ["c"], [], []], []
    queue: Any = SimpleNamespace(
        iter_queued=lambda: iter(queued[0]),
        start_workers=lambda jobs: started.append((jobs, living[0])),
    )
    repo: Any = SimpleNamespace(experiments=SimpleNamespace(celery_queue=queue))

    def pass_time(_: float) -> None:
        for states in (living, queued):
            states.pop(0)

    monkeypatch.setattr(queue, "_finished", lambda _: set("abc"[: 4 - len(living)]))
    monkeypatch.setattr(queue, "_pending", lambda _: set("abc"[4 - len(living) :]))
    monkeypatch.setattr(queue, "_workers", lambda _: living[0])
    monkeypatch.setattr(queue.time, "sleep", pass_time)
    _wait(repo, set("abc"), jobs=2)
    assert started == [(2, 1)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--metric", "qwk"], "--metric qwk is not one of mae"),
        (["--reference", "sord"], "there is no arm 'sord': there is corn, emd"),
        (["-S", "train.los=corn"], "can't be queued"),
    ],
)
def test_what_can_not_be_run_gets_one_clear_sentence(
    finished_project: Path, arguments: list[str], complaint: str
) -> None:
    run = run_in(finished_project, *STUDY, *arguments)
    assert run.returncode == 1
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_tree_with_changes_is_not_what_a_commit_says(finished_project: Path) -> None:
    (finished_project / "params.yaml").write_text(
        (finished_project / "params.yaml").read_text().replace("epochs: ", "epochs: 1")
    )
    run = run_in(finished_project, *STUDY)
    assert run.returncode == 1
    assert "changes that are not committed" in run.stderr
    subprocess.run(
        ["git", "checkout", "--quiet", "."], cwd=finished_project, env=environment(), check=True
    )
