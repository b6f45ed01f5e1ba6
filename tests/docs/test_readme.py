"""Every command of README.md runs."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, console_commands, run_as_shown, run_in

# These two only have their steps listed: the one is this very run, the other is tested in
# test_sources.py.
LISTED = {"make test", "make tripadvisor"}


def test_the_table_of_the_readme_is_that_of_the_committed_metrics(project: Path) -> None:
    run = run_in(project, "ordinal", "results", COLUMNS="80")
    shown = [line.rstrip() for line in run.stdout.splitlines()]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n".join(shown).strip("\n") in text


def test_the_python_of_the_readme_runs(finished_project: Path) -> None:
    [script] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    run = run_in(finished_project, "python", "-c", script)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[0] in {"1", "2", "3", "4", "5"}


@pytest.mark.slow
def test_every_command_of_the_readme_runs(finished_project: Path) -> None:
    shutil.copy(finished_project / "data/own/small.csv", finished_project / "reviews.csv")
    (finished_project / "reviews.txt").write_text("the room was superb\nawful bed\n")
    commands = console_commands("README.md")
    assert LISTED | {"make repro"} <= set(commands)
    for command in commands:
        step = "make --just-print " if command in LISTED else "make "
        run_as_shown(finished_project, re.sub("^make ", step, command))
        if command == "dvc queue start":  # one thing at a time
            run_in(finished_project, "dvc", "queue", "stop", "--kill")
    page = (finished_project / "dvc_plots/index.html").read_text()
    for title in (
        "Confusion matrix",
        "Mean absolute error by true label",
        "Mean absolute error by length of the review",
        "Validation MAE by epoch",
    ):
        assert title in page
