"""The commands, the Python code and the output in README.md."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import MAKE, ROOT, console_commands, run_as_shown, run_code, run_in
from tests.pipeline.test_places import move

README = (ROOT / "README.md").read_text(encoding="utf-8")
# `make test` is this test run. tests/prediction/test_server.py starts the server.
NOT_RUN = {"make test": "make --just-print test", "ordinal serve": "ordinal serve --help"}


def test_the_readme_shows_a_part_of_what_make_repro_prints(project: Path) -> None:
    run = run_in(project, "ordinal", "results", COLUMNS="80")
    printed = [line.strip() for line in run.stdout.splitlines()]
    [block] = re.findall(r"```\n( +Test rows of .*?)```", README, re.S)
    shown = [line.strip() for line in block.splitlines()]
    assert len(shown) >= 3
    assert [line for line in printed if line in shown] == shown


def test_the_python_code_of_the_readme_runs(finished_project: Path) -> None:
    [script] = re.findall(r"```python\n(.*?)```", README, re.S)
    printed = run_code(finished_project, script)
    assert printed.split()[0] in {"1", "2", "3", "4", "5"}


@pytest.mark.slow
def test_every_command_of_the_readme_runs_even_in_an_odd_place(finished_project: Path) -> None:
    """In a worktree of a project in a subdirectory of a repository, behind a link."""
    project = move(finished_project, "all at once")
    shutil.copy(project / "data/own/small.csv", project / "reviews.csv")
    commands = console_commands("README.md")
    assert {"make repro", *NOT_RUN} <= set(commands)
    for command in commands:
        run_as_shown(project, NOT_RUN.get(command, command))
    page = (project / "dvc_plots/index.html").read_text()
    for title in (
        "Confusion matrix",
        "Mean absolute error by true label",
        "Mean absolute error by length of the review",
        "Validation MAE by epoch",
    ):
        assert title in page
    assert len((project / "predictions.csv").read_text().splitlines()) == 121
    summary = run_in(project, *MAKE, "--silent", "pr-summary", "BASE=HEAD")
    assert summary.returncode == 0, summary.stderr
    assert "### On the same test rows" in summary.stdout
    assert "| mae |" in summary.stdout
