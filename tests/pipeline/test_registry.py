"""The model registry in git, and the summary of results that a pull request gets."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import (
    MAKE,
    ROOT,
    console_commands,
    run_as_shown,
    run_in,
    set_params,
    train_again,
)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_commands_of_the_registry_fetch_the_model_by_version_and_stage(
    finished_project: Path,
) -> None:
    for command in console_commands("docs/registry.md"):
        run_as_shown(finished_project, command)
    model = files(finished_project / "models/ordinal")
    for place in ("version", "stage", "newest"):
        assert files(finished_project / "fetched" / place) == model

    # In another folder the weights come from the remote, because the cache is gone.
    shutil.rmtree(finished_project / ".dvc/cache")
    elsewhere = finished_project.parent / "elsewhere"
    elsewhere.mkdir()
    get = ("dvc", "artifacts", "get", str(finished_project), "ordinal", "--stage", "prod")
    run = run_in(elsewhere, *get, "--out", "model")
    assert run.returncode == 0, run.stderr
    assert files(elsewhere / "model") == model


def summary(project: Path, base: str) -> subprocess.CompletedProcess[str]:
    return run_in(project, *MAKE, "--silent", "pr-summary", f"BASE={base}")


@pytest.fixture
def changed_project(finished_project: Path) -> Path:
    """A branch with the committed results of another learning rate."""
    train_again(finished_project, {"train.lr": 0.3})
    for command in (
        "git switch --quiet -c branch",
        "dvc commit --force --quiet",
        "git commit --quiet -am Change",
    ):
        run = run_in(finished_project, *command.split())
        assert run.returncode == 0, run.stdout + run.stderr
    return finished_project


def test_the_summary_compares_parameters_and_metrics_with_the_base(changed_project: Path) -> None:
    before = run_in(changed_project, "git", "status", "--porcelain").stdout
    run = summary(changed_project, "main")
    assert run.returncode == 0, run.stderr
    printed = run.stdout
    assert printed.startswith("## Compared with main\n")
    assert re.search(r"\| params.yaml +\| train.lr +\| 0.003 +\| 0.3 +\|", printed)
    # The comparison is the one that `ordinal compare` prints for the two commits.
    compared = run_in(changed_project, "ordinal", "compare", "main", "--md").stdout
    assert compared.splitlines()[2:]
    assert set(compared.splitlines()[2:]) <= set(printed.splitlines())
    rps = {}
    for revision in ("main", "branch"):
        shown = run_in(changed_project, "git", "show", f"{revision}:metrics/metrics.json").stdout
        rps[revision] = json.loads(shown)["test"]["rps"]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in printed.splitlines()
        if "| test.rps " in line
    ]
    shown_rps = [float(cell) for cell in cells[0][2:4]]
    assert shown_rps == pytest.approx([rps["main"], rps["branch"]], rel=1e-4)  # DVC rounds
    assert rps["main"] != pytest.approx(rps["branch"], rel=1e-3)
    assert "Confusion matrix" in (changed_project / "dvc_plots/index.html").read_text()
    assert run_in(changed_project, "git", "status", "--porcelain").stdout == before
    assert run_in(changed_project, "git", "tag").stdout == ""


def test_the_summary_uses_the_committed_metrics_of_a_base_that_can_not_run(
    finished_project: Path,
) -> None:
    run_in(finished_project, "git", "switch", "--quiet", "-c", "base")
    set_params(finished_project, {"data.name": "gone.csv"})
    run_in(finished_project, "git", "commit", "--quiet", "-am", "Data that nobody has")
    run_in(finished_project, "git", "switch", "--quiet", "main")
    run = summary(finished_project, "base")
    assert run.returncode == 0, run.stderr
    assert "its committed metrics are shown" in run.stdout
    assert "| metric | base |" not in run.stdout


def test_the_workflow_runs_make_and_no_text_of_a_pull_request() -> None:
    path = ROOT / ".github/workflows/ci.yaml"
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    scripts = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert 'make pr-summary BASE="$BASE" >> "$GITHUB_STEP_SUMMARY"' in scripts
    # Anybody can choose a branch's name, and inside a script it could be a command.
    assert not [script for script in scripts if "${{" in script]
    assert all(
        re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
        for job in jobs.values()
        for step in job["steps"]
        if "uses" in step
    )
