"""The Markdown pages: length, links, the map in the README, and the things that they name."""

import importlib.util
import math
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import typer

from ordinal.cli import app
from tests.conftest import ROOT

EXAMPLES = ("studies/rates.yaml", "studies/recipe.yaml")  # docs/experiments.md has their commands
MOST_WORDS = 9_000
MOST_WORDS_OF_README = 900

GUIDES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "data/own/README.md",
    *GUIDES,
]


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def links(page: str) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", read(page)) if "://" not in link]


def code(page: str) -> list[str]:
    """Return the inline code of a page and the lines of its fenced blocks, without prompts."""
    text = read(page)
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))
    return inline + [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def tree() -> dict[str, str]:
    """Return the folders in the README's tree, each with its description."""
    [block] = re.findall(r"^## Repository\n\n```\n(.*?)^```", read("README.md"), re.S | re.M)
    found = {}
    parent = ""
    for line in block.splitlines():
        folders, description = re.fullmatch(r"((?: *[\w.]+/?)(?: \w+/)*) +(.*)", line).groups()
        if not line.startswith(" "):
            parent = ""
        found |= {f"{parent}{name}": description for name in folders.split()}
        if line.startswith("ordinal/"):
            parent = "ordinal/"
    return found


def tracked_folders(depth: int) -> set[str]:
    """Return the folders of the project's files at a depth, except hidden ones."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    parents = [Path(file).parent.parts for file in listed.stdout.splitlines()]
    return {
        "/".join(parts[:depth]) + "/"
        for parts in parents
        if len(parts) >= depth and not parts[0].startswith(".")
    }


def test_the_pages_are_short() -> None:
    assert len(read("README.md").split()) <= MOST_WORDS_OF_README
    assert sum(len(read(page).split()) for page in GUIDES) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_resolves(page: str) -> None:
    missing = [link for link in links(page) if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_the_index_lists_every_guide() -> None:
    assert {f"docs/{link}" for link in links("docs/README.md")} == set(GUIDES) - {"docs/README.md"}


def test_the_tree_names_every_folder_and_package() -> None:
    folders = {name for name in tree() if name.endswith("/")}
    packages = {name for name in tracked_folders(2) if name.startswith("ordinal/")}
    assert folders == tracked_folders(1) | packages


def test_the_tree_names_files_that_exist() -> None:
    named = [
        Path(folder) / file
        for folder, description in tree().items()
        for file in re.findall(r"\b\w+\.py\b", description)
    ]
    assert len(named) >= 15
    assert [str(file) for file in named if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_and_files_that_a_page_names_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    commands = set(typer.main.get_command(app).commands)
    if page == "CHANGELOG.md":  # names what was removed
        targets |= {"tour", "reliability"}
        commands |= {"verify-cache"}
    for line in code(page):
        if name := re.match(r"make ([a-z-]+)", line):
            assert name[1] in targets
        if name := re.match(r"ordinal ([a-z-]+)", line):
            assert name[1] in commands
        for module in re.findall(r"python -m ([\w.]+)", line):
            assert importlib.util.find_spec(module)
        for file in re.findall(
            r"(?<![\w/])(?:benchmarks|ordinal|stages|studies|tests)/[\w./]+\.\w+", line
        ):
            assert file in EXAMPLES or "NAME" in file or (ROOT / file).is_file()


def signed(number: float) -> str:
    """Format a difference as the pages do."""
    return f"{number:+.3f}".replace("-", "−")


@pytest.mark.parametrize("study", ["full", "short", "losses"])
def test_the_tables_of_studies_have_the_committed_numbers(study: str) -> None:
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    for row in pd.read_csv(ROOT / f"metrics/studies/{study}.csv").to_dict("records"):
        cells = f"| {row['mean']:.3f} | {row['sd']:.3f} |"
        if not math.isnan(row["against_reference_difference"]):
            figures = [
                signed(row[f"against_reference_{name}"]) for name in ("difference", "low", "high")
            ]
            cells += " {} ({} to {}) |".format(*figures)
        assert cells in page


def test_the_readme_has_the_committed_numbers_of_the_study() -> None:
    tutorial, *others = pd.read_csv(ROOT / "metrics/studies/full.csv").to_dict("records")
    assert f"| the tutorial's (CORN loss) | {tutorial['mean']:.3f} | – | – |" in read("README.md")
    for name, run in zip(("default (CORN loss)", "default, EMD loss"), others, strict=True):
        difference, low, high = (
            signed(run[f"against_reference_{end}"]) for end in ("difference", "low", "high")
        )
        p_value = f"{run['against_reference_p_holm']:.3f}"
        row = f"| {name} | {run['mean']:.3f} | {difference} ({low} to {high}) | {p_value} |"
        assert row in read("README.md")
