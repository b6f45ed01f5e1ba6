"""Every command of README.md runs."""

import re
import shutil
from pathlib import Path

from tests.conftest import ROOT, run_in

# `make` sets up an environment first; here there is one already. These two only have their steps
# listed: the one is this very run, the other is tested in test_sources.py.
LISTED = {"make test", "make tripadvisor"}


def commands() -> list[str]:
    blocks = re.findall(
        r"```console\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S
    )
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line.removeprefix("$ ").partition("  #")[0].strip() for line in lines]


def test_the_table_of_the_readme_is_that_of_the_committed_metrics(project: Path) -> None:
    run = run_in(project, "ordinal", "results", COLUMNS="80")
    shown = [line.rstrip() for line in run.stdout.splitlines()]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n".join(shown).strip("\n") in text


def test_every_command_of_the_readme_runs(finished_project: Path) -> None:
    shutil.copy(finished_project / "data/own/small.csv", finished_project / "reviews.csv")
    assert {"make repro", "make test"} <= set(commands())
    for command in commands():
        step = "--just-print " if command in LISTED else ""
        line = re.sub("^make ", f"make {step}--old-file=.venv/ready ", command)
        run = run_in(finished_project, "bash", "-c", line)
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
    run_in(finished_project, "dvc", "queue", "stop", "--kill")
    page = (finished_project / "dvc_plots/index.html").read_text()
    for title in (
        "Confusion matrix",
        "Mean absolute error by true label",
        "Validation MAE by epoch",
    ):
        assert title in page
