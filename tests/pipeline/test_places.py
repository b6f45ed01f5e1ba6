"""The project works wherever it is: in a subdirectory, a worktree, an odd path, behind a link."""

import re
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides

from ordinal.common.files import read_yaml
from ordinal.experiments import revisions
from tests.conftest import MAKE, ROOT, git, run_in, stages_run

PLACES = ("subdirectory", "worktree", "odd path", "link", "all at once")


def into_subdirectory(project: Path, repository: Path) -> Path:
    """Move a project into a subdirectory of a new repository, as `dvc init --subdir` does."""
    inner = repository / "teams/reviews"
    inner.parent.mkdir(parents=True)
    shutil.move(project, inner)
    shutil.rmtree(inner / ".git")
    git(repository, "init --quiet --initial-branch=main", "add --all")
    git(inner, "add --all --force data/own")
    git(repository, "commit --quiet -m Start")
    return inner


def into_worktree(project: Path, root: Path, tree: Path) -> Path:
    """Return the project in a new worktree of its repository, which uses the cache of the first."""
    added = run_in(root, "git", "worktree", "add", "--quiet", "-b", "other", str(tree))
    assert added.returncode == 0, added.stderr
    project_there = tree / project.relative_to(root)
    (project_there / ".venv").symlink_to(sys.prefix)
    for command in (("cache", "dir", "--local", str(project / ".dvc/cache")), ("checkout",)):
        run = run_in(project_there, "dvc", *command)
        assert run.returncode == 0, run.stderr
    return project_there


def behind_link(project: Path) -> Path:
    link = project.parent / f"link to {project.name}"
    link.symlink_to(project)
    return link


def move(project: Path, place: str) -> Path:
    """Bring a finished project to a place, and return its path there."""
    parent = project.parent
    if place == "subdirectory":
        return into_subdirectory(project, parent / "repository")
    if place == "worktree":
        return into_worktree(project, project, parent / "tree")
    if place == "odd path":
        return Path(shutil.move(project, parent / "Größe & Maß's [2] $HOME"))
    if place == "link":
        return behind_link(project)
    inner = into_subdirectory(project, parent / "repository")
    return behind_link(into_worktree(inner, parent / "repository", parent / "Bücher und Texte"))


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, finished_project: Path) -> Path:
    return move(finished_project, request.param)


def test_runs_are_read_by_revision(place: Path) -> None:
    here = run_in(place, "ordinal", "predict", "a superb room")
    there = run_in(place, "ordinal", "predict", "a superb room", "--model", "HEAD")
    assert (there.returncode, there.stdout) == (0, here.stdout), there.stderr
    compared = run_in(place, "ordinal", "compare", "HEAD", "--md")
    assert compared.returncode == 0, compared.stderr
    assert re.search(r"^\| mae \| ([\d.]+) \| \1 \| \+0.0000 ", compared.stdout, re.M)
    with chdir(place):
        card = revisions.model_card("HEAD")
    assert card == (place / "metrics/model_card.md").read_text(encoding="utf-8")
    report = run_in(place, "ordinal", "report")
    assert (report.returncode, report.stdout) == (0, "report: report.html\n"), report.stderr


def test_make_finds_the_programs(place: Path) -> None:
    with (place / "stages/split.py").open("a") as stage:
        stage.write("# A change of the code, but not of the split.\n")
    run = run_in(place, *MAKE, "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    assert stages_run(run.stdout) == ["split"]
    assert "Test rows of small.csv" in run.stdout


def test_data_in_a_remote_are_found_in_a_subdirectory(finished_project: Path) -> None:
    project = move(finished_project, "subdirectory")
    for command in ("remote add --default storage ../storage", "push --quiet"):
        run = run_in(project, "dvc", *command.split())
        assert run.returncode == 0, run.stderr
    shutil.rmtree(project / ".dvc/cache")
    run = run_in(project, "ordinal", "compare", "HEAD")
    assert run.returncode == 0, run.stderr


def test_a_worktree_without_the_cache_names_the_command_to_share_it(
    finished_project: Path,
) -> None:
    git(finished_project, "worktree add --quiet ../tree")
    run = run_in(finished_project.parent / "tree", "ordinal", "predict", "x", "--model", "HEAD")
    assert run.returncode == 1
    assert "use the cache of the main worktree: `dvc cache dir --local PATH`" in run.stderr
    assert run.stderr.count("\n") == 1


STUDY = """\
description: d
reference: more
variants: {more: {evaluate.resamples: 110}, most: {evaluate.resamples: 120}}
"""


@pytest.mark.slow
def test_a_study_runs_in_a_subdirectory_and_with_another_cache_in_an_odd_path(
    finished_project: Path,
) -> None:
    parent = finished_project.parent / "Größe [2]"
    project = into_subdirectory(finished_project, parent)
    (project / "studies/small.yaml").write_text(STUDY, encoding="utf-8")
    study = ("ordinal", "study", "studies/small.yaml", "--seeds", "1")
    refused = run_in(project, *study)
    assert refused.returncode == 1
    assert "because the path is not ASCII: move the cache to another folder" in refused.stderr
    # What the sentence says is still true of DVC.
    fails = run_in(project, "dvc", "exp", "run", "--temp", "-S", "evaluate.resamples=110")
    assert "'ascii' codec can't encode" in fails.stderr

    cache = parent.parent / "cache"
    shutil.move(project / ".dvc/cache", cache)
    assert run_in(project, "dvc", "cache", "dir", "--local", str(cache)).returncode == 0
    run = run_in(project, *study)
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project / "metrics/studies/small.csv")
    assert list(table["variant"]) == ["more", "most"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b"])
def test_dvc_still_loses_the_runs_that_a_study_refuses(name: str, finished_project: Path) -> None:
    """If this fails, DVC works in such folders, and `ordinal study` need not refuse them."""
    project = Path(shutil.move(finished_project, finished_project.parent / name))
    command = ("dvc", "exp", "run", "--temp", "--name", "temporary", "-S", "split.seed=2", "split")
    run_in(project, *command)
    assert "temporary" not in run_in(project, "dvc", "exp", "list", "--name-only").stdout
    study = run_in(project, "ordinal", "study", "studies/recipe.yaml")
    assert study.returncode == 1
    assert study.stderr.startswith("error: ")


def test_the_reference_quotes_a_file_name_with_spaces_and_parentheses(tmp_path: Path) -> None:
    page = (ROOT / "docs/data-reference.md").read_text(encoding="utf-8")
    [override] = re.findall(r"^dvc exp run -S \"(data\.name=.*?)\" ", page, re.M)
    params = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    apply_overrides(params, [override])
    assert read_yaml(params)["data"]["name"] == "data/own/reviews (1).csv"


def test_make_refuses_a_path_that_cannot_be_on_the_search_path(tmp_path: Path) -> None:
    folder = tmp_path / "12:30"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    run = run_in(folder, "make", "--no-print-directory", "help")
    assert run.returncode == 2
    assert run.stdout == ""
    [line] = run.stderr.splitlines()
    assert f"the path {folder} contains a colon, which separates the folders of PATH" in line
