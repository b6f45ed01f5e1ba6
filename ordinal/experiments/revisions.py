"""Read files of a run, given by its Git revision, from the working tree, Git, or DVC."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ordinal.common.errors import UserError
from ordinal.common.paths import MODEL, MODEL_CARD, PREDICTIONS

WORKSPACE = "workspace"
"""The revision that stands for the files of the working tree."""


def predictions(revision: str) -> pd.DataFrame:
    """Return a run's table of predictions of the test rows.

    It comes from the working tree if the revision is `WORKSPACE`, else from DVC's cache or remote.

    Raises:
        UserError: there is no such revision, or neither cache nor remote has its predictions.
    """
    content = _read(PREDICTIONS / "test.parquet", revision, "the predictions")
    return pd.read_parquet(io.BytesIO(content))


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
    import dvc.api

    with _reading(f"'{revision}' is not a folder or file, and the model of that revision"):
        files = dvc.api.DVCFileSystem(".", rev=revision)
        files.get(str(MODEL), str(folder), recursive=True)


def one_line(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _read(path: Path, revision: str, what: str) -> bytes:
    if revision == WORKSPACE:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{path} is missing: run `make repro` first") from None
    import dvc.api

    with _reading(f"{what} of '{revision}'"):
        content: bytes = dvc.api.read(str(path), repo=".", rev=revision, mode="rb")
    return content


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
            "experiment, and that its data is in DVC's cache or remote (`dvc pull`)"
        ) from None
