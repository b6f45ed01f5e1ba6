"""What the pages refer to is there."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_the_index_has_every_page() -> None:
    linked = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "docs/README.md").read_text(encoding="utf-8"))
    pages = {Path(page).name for page in PAGES if page.startswith("docs/")}
    assert pages - {"README.md"} <= set(linked)


def test_the_map_of_the_modules_is_complete() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    mapped = set(re.findall(r"`(ordinal/\w+\.py)`", page))
    assert mapped == {f"ordinal/{path.name}" for path in (ROOT / "ordinal").glob("[a-z]*.py")}
