"""The commands and the study file in docs/experiments.md."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT, console_commands, run_as_shown, run_in

PAGE = "docs/experiments.md"


@pytest.mark.slow
def test_every_command_of_the_page_runs(finished_project: Path) -> None:
    [study] = re.findall(r"```yaml\n(.*?)```", (ROOT / PAGE).read_text(encoding="utf-8"), re.S)
    (finished_project / "studies/rates.yaml").write_text(study, encoding="utf-8")
    for command in console_commands(PAGE):
        run_as_shown(finished_project, command)
    run_in(finished_project, "dvc", "queue", "stop", "--kill")
    table = pd.read_csv(finished_project / "metrics/studies/rates.csv")
    assert list(table.iloc[:, 0]) == ["default", "slow"]
    assert {"seed_1", "seed_2"} <= set(table)
    assert "seed_3" not in table
    assert (finished_project / "metrics/studies/rates.svg").is_file()
