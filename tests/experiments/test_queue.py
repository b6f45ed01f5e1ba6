"""Test how a study runs through DVC's queue, continues after an interruption, and fails."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dvc.api
import pandas as pd
import pytest
from dvc.exceptions import InvalidArgumentError

from ordinal.common.errors import UserError
from ordinal.experiments import queue as study_queue
from ordinal.experiments.queue import as_finished, experiment_name, left_runs, pending_runs
from tests.conftest import environment, run_in


def write_study(project: Path, *variants: str) -> tuple[str, ...]:
    """Write studies/small.yaml with one-epoch variants, and return the command that runs it."""
    lines = [f"  {variant.split('=')[1]}: {{{variant.replace('=', ': ')}}}" for variant in variants]
    reference = variants[0].split("=")[1]
    text = ["description: d", f"reference: {reference}", "set: {train.epochs: 1}", "variants:"]
    (project / "studies/small.yaml").write_text("\n".join([*text, *lines]), encoding="utf-8")
    return ("ordinal", "study", "studies/small.yaml")


@pytest.mark.slow
def test_a_study_is_run_once_extended_and_compared(finished_project: Path) -> None:
    study = write_study(finished_project, "train.loss=corn", "train.loss=emd")
    first = run_in(finished_project, *study, "--seeds", "1")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "corn" in first.stdout
    assert "but with one seed not for the training" in " ".join(first.stdout.split())
    queued = len(experiments(finished_project))
    assert queued == 2

    # A second seed adds two runs, not four, and the table covers both seeds.
    second = run_in(finished_project, *study, "--seeds", "2", "--jobs", "2")
    assert second.returncode == 0, second.stdout + second.stderr
    names = experiments(finished_project)
    assert len(names) == 4
    table = pd.read_csv(finished_project / "metrics/studies/small.csv").set_index("variant")
    assert list(table.index) == ["corn", "emd"]
    assert (finished_project / "metrics/studies/small.svg").read_text().startswith("<?xml")

    # The figures are those of the runs.
    for variant in table.index:
        measured = []
        for name in names:
            if name.startswith(f"{variant}-"):
                metrics = dvc.api.read("metrics/details.json", str(finished_project), name)
                measured.append(json.loads(metrics)["test"]["mae"])
        assert table["mean"][variant] == pytest.approx(sum(measured) / 2, abs=1e-5)


def experiments(project: Path) -> list[str]:
    return run_in(project, "dvc", "exp", "list", "--name-only").stdout.split()


def test_a_run_that_fails_is_named_and_the_others_are_kept(finished_project: Path) -> None:
    study = write_study(finished_project, "train.lr=0.001", "train.lr=1.0e+30")
    run = run_in(finished_project, *study, "--seeds", "1")
    assert run.returncode == 1
    assert "error: 1 of 2 runs failed (1e-30-" in run.stderr
    assert "dvc queue logs" in run.stderr
    assert len(experiments(finished_project)) == 1


def test_a_run_is_pending_while_the_process_of_its_worker_lives(tmp_path: Path) -> None:
    runs = {
        name: SimpleNamespace(name=name, baseline_rev=commit)
        for name, commit in (("queued", "head"), ("other", "before"), ("running", "head"))
    }
    queue: Any = SimpleNamespace(
        wdir=tmp_path,
        repo=SimpleNamespace(scm=SimpleNamespace(get_rev=lambda: "head")),
        iter_queued=lambda: [runs["queued"], runs["other"]],
        iter_active=lambda: [runs["running"]],
        worker_status=dict,  # the worker is too busy to answer
    )
    assert pending_runs(queue) == {"queued"}
    sleep = [sys.executable, "-c", "input()", "queue-worker"]
    with subprocess.Popen(sleep, stdin=subprocess.PIPE) as worker:
        (tmp_path / "dvc-exp-worker-1.pid").write_text(str(worker.pid))
        assert pending_runs(queue) == {"queued", "running"}
        worker.kill()
        worker.wait()
        assert pending_runs(queue) == {"queued"}


def test_a_worker_that_died_is_replaced_while_runs_are_queued(
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

    monkeypatch.setattr(
        study_queue, "finished_runs", lambda _: dict.fromkeys("abc"[: 4 - len(living)])
    )
    monkeypatch.setattr(study_queue, "pending_runs", lambda _: set("abc"[4 - len(living) :]))
    monkeypatch.setattr(study_queue, "_workers", lambda _: living[0])
    monkeypatch.setattr(study_queue.time, "sleep", pass_time)
    assert [*as_finished(repo, set("abc"), jobs=2)] == [set(), {"a"}, {"b"}, {"c"}]
    assert started == [(2, 1)]


@pytest.mark.parametrize(("polls", "fails"), [(2, False), (3, True)])
def test_a_run_that_dvc_lists_nowhere_for_a_moment_has_not_failed(
    polls: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue: Any = SimpleNamespace(iter_queued=lambda: iter([]))
    repo: Any = SimpleNamespace(experiments=SimpleNamespace(celery_queue=queue))
    states = iter([{}, *[{}] * polls, {"a": "commit"}])
    monkeypatch.setattr(study_queue, "finished_runs", lambda _: next(states))
    monkeypatch.setattr(study_queue, "pending_runs", lambda _: set())
    monkeypatch.setattr(study_queue.time, "sleep", lambda _: None)
    assert set().union(*as_finished(repo, {"a"}, jobs=1)) == (set() if fails else {"a"})


@pytest.mark.parametrize(("living", "polls"), [([0], 0), ([1, 0], 1), ([1, 1, 1], 3)])
def test_a_run_may_be_ending_while_a_worker_lives(
    living: list[int], polls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo: Any = SimpleNamespace(experiments=SimpleNamespace(celery_queue=None))
    sleeps: list[float] = []
    monkeypatch.setattr(study_queue, "pending_runs", lambda _: {"a"} if len(sleeps) == 3 else set())
    monkeypatch.setattr(study_queue, "_workers", lambda _: living[len(sleeps)])
    monkeypatch.setattr(study_queue.time, "sleep", sleeps.append)
    assert left_runs(repo) == ({"a"} if polls == 3 else set())
    assert len(sleeps) == polls


def test_a_mistake_in_the_file_is_refused_before_anything_is_queued(finished_project: Path) -> None:
    study = write_study(finished_project, "train.los=corn", "train.loss=emd")
    run = run_in(finished_project, *study)
    assert run.returncode == 1
    assert run.stderr == (
        "error: studies/small.yaml: variants.corn.train.los is not a parameter; "
        "did you mean train.loss?\n"
    )
    assert experiments(finished_project) == []


def test_a_run_that_dvc_refuses_is_named() -> None:
    def refuse(**_: object) -> None:
        raise InvalidArgumentError("no such\n thing")

    repo: Any = SimpleNamespace(experiments=SimpleNamespace(run=refuse))
    with pytest.raises(UserError, match=r"^'corn-1' can't be queued: no such thing$"):
        study_queue.enqueue(repo, "corn-1", ["train.los=corn"])


@pytest.mark.parametrize(
    ("folder", "cache", "settings", "reason"),
    [
        ("/a%20b", "/a%20b/.dvc/cache", "{}", "does not work in /a%20b, because of the % in the"),
        ("/a#b", "/a#b/.dvc/cache", "{}", "because of the # in the path: rename the folder"),
        ("/a?b", "/elsewhere", "{}", "because of the ? in the path: rename the folder"),
        ("/ü", "/ü/.dvc/cache", "{}", "the path is not ASCII: move the cache to another folder"),
        ("/a", "/a/.dvc/cache", "{'url': 'ü'}", "settings that are not ASCII: change them in"),
    ],
)
def test_a_folder_in_which_dvc_would_lose_runs_is_refused(
    folder: str, cache: str, settings: str, reason: str
) -> None:
    with pytest.raises(UserError, match=re.escape(reason)):
        study_queue._refuse_folder(folder, cache, settings)


@pytest.mark.parametrize("folder", ["/a b", "/ü", "/a&b'c;d\"e", "/a:b", "/a*b[c]", "/a$HOME"])
def test_a_folder_in_which_dvc_keeps_runs_is_not_refused(folder: str) -> None:
    study_queue._refuse_folder(folder, "/cache", "{}")


def test_data_that_nobody_tracks_is_refused_before_anything_is_queued(
    finished_project: Path,
) -> None:
    own = finished_project / "data/own"
    for name in ("tracked by dvc.csv", "new file.csv"):
        shutil.copy(own / "small.csv", own / name)
    added = run_in(finished_project, "dvc", "add", "--quiet", "data/own/tracked by dvc.csv")
    assert added.returncode == 0, added.stderr
    tracked = map(Path, ("data/own/small.csv", "data/own/tiny", "data/own/tracked by dvc.csv"))
    with chdir(finished_project):
        study_queue.refuse_untracked([*tracked, Path("/usr/share/reviews.csv")])
    study = write_study(finished_project, "train.loss=corn", "train.loss=emd")
    path = finished_project / "studies/small.yaml"
    changed = path.read_text().replace(
        "{train.epochs", "{data.name: data/own/new file.csv, train.epochs"
    )
    path.write_text(changed)
    run = run_in(finished_project, *study)
    assert run.returncode == 1
    assert run.stderr.startswith("error: data/own/new file.csv is not under version control")
    assert "run `dvc add 'data/own/new file.csv'`, and commit" in run.stderr
    assert experiments(finished_project) == []


@pytest.mark.parametrize("variant", ["lr = 1e-3", "-x.lock", "@{", "...", "größer"])
def test_an_experiment_has_a_name_that_git_accepts(variant: str) -> None:
    name = experiment_name(variant, ["train.seed=1"])
    assert not name.startswith("-")
    subprocess.run(["git", "check-ref-format", f"refs/exps/{name}"], check=True)
    assert name == experiment_name(variant, ["train.seed=1"]) != experiment_name(variant, [])


def test_uncommitted_changes_are_refused_except_in_studies(finished_project: Path) -> None:
    (finished_project / "studies/losses.yaml").unlink()
    params = finished_project / "params.yaml"
    params.write_text(params.read_text().replace("epochs: ", "epochs: 1"))
    study = write_study(finished_project, "train.loss=corn", "train.loss=emd")
    run = run_in(finished_project, *study)
    assert run.returncode == 1
    assert run.stderr.startswith("error: the working tree has changes that are not committed")
    subprocess.run(
        ["git", "checkout", "--quiet", "params.yaml"],
        cwd=finished_project,
        env=environment(),
        check=True,
    )
    with chdir(finished_project):
        study_queue._refuse_changes()
