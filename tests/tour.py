"""Run the snippets of docs/tour.md; `make tour` writes what they print into the page."""

import contextlib
import io
import re
from pathlib import Path

from ordinal.common.files import atomic_file
from tests.conftest import ROOT

PAGE = ROOT / "docs/tour.md"
STEP = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.S)


def steps(page: Path = PAGE) -> list[tuple[str, str]]:
    """Each snippet, and what the page says that it prints."""
    return STEP.findall(page.read_text(encoding="utf-8"))


def walk(project: Path) -> list[str]:
    """What each snippet prints in a project in which the pipeline has run."""
    names: dict[str, object] = {}
    printed = []
    with contextlib.chdir(project):
        for code, _ in steps():
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(code, names)
            printed.append(said.getvalue())
    return printed


def main() -> None:
    printed = iter(walk(ROOT))
    text = PAGE.read_text(encoding="utf-8")
    told = STEP.sub(lambda step: f"```python\n{step[1]}```\n\n```text\n{next(printed)}```\n", text)
    with atomic_file(PAGE) as path:
        path.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
