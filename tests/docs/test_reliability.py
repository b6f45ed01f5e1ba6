"""The commands in docs/reliability.md."""

from pathlib import Path

from tests.conftest import console_commands, run_as_shown


def test_every_command_of_the_page_runs(finished_project: Path) -> None:
    for command in console_commands("docs/reliability.md"):
        run_as_shown(finished_project, command)
    assert "<mark" in (finished_project / "report.html").read_text(encoding="utf-8")
