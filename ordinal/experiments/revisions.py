"""Files of a run by its Git revision: from the working tree, Git, DVC's cache or a remote."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ordinal.common.errors import UserError
from ordinal.common.paths import MODEL, MODEL_CARD, PREDICTIONS

WORKSPACE = "workspace"


def predictions(revision: str) -> pd.DataFrame:
    """What a run said of the test rows: from the working tree, or from DVC's cache or remote.

    Raises:
        UserError: there is no such revision, or its predictions can't be had.
    """
    return pd.read_parquet(
        io.BytesIO(_read(PREDICTIONS / "test.parquet", revision, "the predictions"))
    )


def model_card(revision: str) -> str:
    """The model card of a run: from the working tree, or as it was committed.

    Raises:
        UserError: there is no such revision, or it has no model card.
    """
    return _read(MODEL_CARD, revision, "the model card").decode()


def _read(path: Path, revision: str, what: str) -> bytes:
    """A file of a run: from the working tree, or from git, DVC's cache or remote."""
    if revision == WORKSPACE:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{path} is missing: run `make repro` first") from None
    import dvc.api

    with _reading(f"{what} of '{revision}'"):
        content: bytes = dvc.api.read(str(path), repo=".", rev=revision, mode="rb")
    return content


def fetch_model(revision: str, folder: Path) -> None:
    """Bring the model of a run, from DVC's cache or remote, as the folder `folder`.

    Raises:
        UserError: there is no such revision, or its model can't be had.
    """
    import dvc.api

    with _reading(f"'{revision}' is no folder and no file, and its model"):
        files = dvc.api.DVCFileSystem(".", rev=revision)
        files.get(str(MODEL), str(folder), recursive=True)


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Tell in a sentence that DVC can't read something of a revision."""
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError
    from scmrepo.exceptions import SCMError

    try:
        yield
    except (DvcException, DataIndexDirError, SCMError, OSError) as error:
        raise UserError(
            f"{what} can't be read ({reason(error)}): "
            "is it a commit, branch, tag or experiment, and its data here or in a remote?"
        ) from None


def reason(error: Exception) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split()) or type(error).__name__
