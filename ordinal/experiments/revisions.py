"""Read files of a run, given by its Git revision, from the working tree, Git, or DVC."""

import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow.parquet as pq
import yaml

from ordinal.common.errors import UserError, one_line
from ordinal.common.paths import DVC_LOCK, FACTS, MODEL, MODEL_CARD, PARAMS, PREDICTIONS, SPLIT

if TYPE_CHECKING:
    from dvc.api import DVCFileSystem

Part = Literal["train", "validation", "test"]
WORKSPACE = "workspace"
"""The revision that stands for the files of the working tree."""


def predictions(revision: str, part: Part = "test") -> pd.DataFrame:
    """Return a run's table of predictions of the rows of a part.

    It comes from the working tree if the revision is `WORKSPACE`, else from DVC's cache or remote.

    Raises:
        UserError: there is no such revision, or neither cache nor remote has its predictions.
    """
    content = _read(PREDICTIONS / f"{part}.parquet", revision, "the predictions")
    return pd.read_parquet(io.BytesIO(content))


def reviews(revision: str, part: Part = "test") -> pd.DataFrame:
    """Return the rows of a part of a run: `row`, `text`, `label` and the kept columns.

    Raises:
        UserError: there is no such revision, or neither cache nor remote has its split.
    """
    content = _read(SPLIT / f"{part}.parquet", revision, "the split")
    # In Arrow's types, whole numbers stay so next to missing values.
    table: pd.DataFrame = pq.read_table(io.BytesIO(content)).to_pandas(types_mapper=pd.ArrowDtype)
    return table


def label_names(revision: str) -> list[str]:
    """Return the names of the K labels of a run, lowest first.

    Raises:
        UserError: there is no such revision, or neither cache nor remote has its reviews.
    """
    labels: list[str] = json.loads(_read(FACTS, revision, "the reviews"))["labels"]
    return labels


def parameters(commit: str) -> str:
    """Return the text of params.yaml of a run, given by its commit."""
    # Git alone, because opening a revision with DVC takes half a second.
    command = ["git", "show", f"{commit}:./{PARAMS}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    return shown.stdout


def locked_stages(revision: str) -> dict[str, Any]:
    """Return the stages in dvc.lock of a run: what has run, and with which parameters.

    Raises:
        UserError: there is no such revision, or it has no dvc.lock.
    """
    stages: dict[str, Any] = yaml.safe_load(_read(DVC_LOCK, revision, "dvc.lock"))["stages"]
    return stages


def model_card(revision: str) -> str:
    """Return a run's model card, from the working tree if the revision is `WORKSPACE`.

    Raises:
        UserError: there is no such revision, or it has no model card.
    """
    return _read(MODEL_CARD, revision, "the model card").decode()


def fetch_model(revision: str, folder: Path) -> None:
    """Copy the model of a run from DVC's cache or remote to `folder`, which must not exist.

    Raises:
        UserError: there is no such revision, or neither cache nor remote has its model.
    """
    what = f"'{revision}' is not a folder or file, and the model of that revision"
    with _reading(what):
        files, root = _project_at(revision)
        files.get(str(root / MODEL), str(folder), recursive=True)


def _read(path: Path, revision: str, what: str) -> bytes:
    if revision == WORKSPACE:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{path} is missing: run `make repro` first") from None
    with _reading(f"{what} of '{revision}'"):
        files, root = _project_at(revision)
        content: bytes = files.cat_file(str(root / path))
    return content


def _project_at(revision: str) -> tuple["DVCFileSystem", PurePosixPath]:
    """Return the files of the repository at a revision, and the project's folder in it.

    The project may be in a subdirectory of its repository. DVC then opens it as a "subrepo", and
    needs to be told its cache and remotes.
    """
    from dvc.api import DVCFileSystem
    from dvc.repo import Repo

    with Repo() as here:
        config = {
            "core": here.config["core"],
            "remote": here.config["remote"],
            "cache": here.config["cache"] | {"dir": here.cache.local_cache_dir},
        }
        root = Path(here.root_dir).relative_to(here.scm.root_dir)
    project = partial(Repo, config=config)
    files = DVCFileSystem(".", revision, subrepos=True, config=config, repo_factory=project)
    return files, PurePosixPath("/", root)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn DVC's and Git's errors into a `UserError` that says what can't be read."""
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        yield
    except (DvcException, DataIndexDirError, SCMError, OSError) as error:
        raise UserError(
            f"{what} can't be read ({one_line(error)}): check that it is a commit, branch, tag or "
            f"experiment, and that its data is in DVC's cache or remote ({_ways_to_the_data()})"
        ) from None


def _ways_to_the_data() -> str:
    """Return how to get data that DVC's cache lacks. A worktree of git has a cache of its own."""
    command = ["git", "rev-parse", "--git-dir", "--git-common-dir"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    folders = {Path(line).resolve() for line in run.stdout.splitlines()}
    if len(folders) > 1:
        return "`dvc pull`, or use the cache of the main worktree: `dvc cache dir --local PATH`"
    return "`dvc pull`"
