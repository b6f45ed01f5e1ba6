"""The commands, the Python code and the output in README.md."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, console_commands, environment, run_as_shown, run_in

README = (ROOT / "README.md").read_text(encoding="utf-8")
# `make test` is this test run. tests/prediction/test_server.py starts the server.
NOT_RUN = {"make test": "make --just-print test", "ordinal serve": "ordinal serve --help"}
# studies/losses.yaml needs reviews that cannot be shipped, and hours.
SMALL_STUDY = """\
description: Two losses on the small file of reviews.
reference: corn
set: {train.epochs: 1}
variants:
  corn: {train.loss: corn}
  emd: {train.loss: emd}
"""


def test_the_readme_shows_a_part_of_what_make_repro_prints(project: Path) -> None:
    run = run_in(project, "ordinal", "results", COLUMNS="80")
    printed = [line.strip() for line in run.stdout.splitlines()]
    [block] = re.findall(r"```\n( +Test rows of .*?)```", README, re.S)
    shown = [line.strip() for line in block.splitlines()]
    assert len(shown) >= 3
    assert [line for line in printed if line in shown] == shown


def test_the_python_code_of_the_readme_runs(finished_project: Path) -> None:
    [script] = re.findall(r"```python\n(.*?)```", README, re.S)
    run = run_in(finished_project, "python", "-c", script)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[0] in {"1", "2", "3", "4", "5"}


@pytest.mark.slow
def test_every_command_of_the_readme_runs(finished_project: Path) -> None:
    shutil.copy(finished_project / "data/own/small.csv", finished_project / "reviews.csv")
    (finished_project / "studies/losses.yaml").write_text(SMALL_STUDY)
    for command in ("add studies", "commit --quiet -m Study"):
        subprocess.run(
            ["git", *command.split()], cwd=finished_project, env=environment(), check=True
        )
    commands = console_commands("README.md")
    assert {"make repro", *NOT_RUN} <= set(commands)
    for command in commands:
        run_as_shown(finished_project, NOT_RUN.get(command, command))
    assert (finished_project / "metrics/studies/losses.csv").is_file()
