"""Data sets on the hub: the files of a commit with their checksums, and verified downloads."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ordinal.common.errors import one_line
from ordinal.sources.download import (
    TRY_LATER,
    SourceError,
    download,
    network_failure,
    retried,
    status_failure,
    verify,
)

if TYPE_CHECKING:
    from huggingface_hub import DatasetInfo

COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT = 30  # seconds
MAY_READ = "set HF_TOKEN to a token that may read it"


def files_at(repository: str, commit: str | None) -> dict[str, str]:
    """Return the checksum of each file of a data set at a commit.

    Raises:
        SourceError: the hub does not answer or has no such commit, or `commit` is None or the name
            of a branch or tag. The advice then is the commit to use.
    """
    info = _info(repository, commit)
    if commit is None or not COMMIT.fullmatch(commit):
        what = "no commit is given" if commit is None else f"{commit} is not a commit of 40 digits"
        raise SourceError(what, f"set data.revision to {info.sha}, the commit that it has now")
    if info.sha != commit:
        raise SourceError(f"the hub does not confirm commit {commit}", "check HF_ENDPOINT")
    checksums = {}
    for file in info.siblings or ():
        if file.lfs:
            checksums[file.rfilename] = f"sha256:{file.lfs.sha256}"
        elif file.blob_id:
            checksums[file.rfilename] = f"git-blob:{file.blob_id}"
        else:
            raise SourceError(f"the hub states no hash of {file.rfilename}", "check HF_ENDPOINT")
    return checksums


def download_file(
    repository: str, revision: str, file: str, path: Path, checksum: str | None = None
) -> None:
    """Download a file of a data set; without a checksum it is not verified.

    Raises:
        SourceError: the download failed, or the file has another checksum.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    _refuse_offline()
    url = hf_hub_url(repository, file, repo_type="dataset", revision=revision)
    try:
        download(url, path, headers=build_hf_headers())
        if checksum:
            verify(path, checksum, TRY_LATER)
    except SourceError as failure:
        raise failure.at(file) from None


def _refuse_offline() -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise SourceError("HF_HUB_OFFLINE is set", "unset it")


def _info(repository: str, revision: str | None) -> "DatasetInfo":
    _refuse_offline()
    try:
        return retried(lambda: _ask(repository, revision))
    except _UnknownRevisionError:
        newest = _info(repository, None).sha
    raise SourceError(
        f"it has no commit, branch or tag {revision}",
        f"set data.revision to a commit of it, such as {newest}, which is the newest",
    )


class _UnknownRevisionError(Exception):
    pass


def _ask(repository: str, revision: str | None) -> "DatasetInfo":
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    try:
        return HfApi().dataset_info(
            repository, revision=revision, files_metadata=True, timeout=TIMEOUT
        )
    except GatedRepoError:
        raise SourceError(
            "access to it is restricted", f"ask for access on its page, and {MAY_READ}"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        code = error.response.headers.get("X-Error-Code")
        if status == 404 and code != "RepoNotFound" and revision is not None:
            raise _UnknownRevisionError from None
        # Without a token, the hub answers 401 if there is no such data set.
        if status in (401, 404):
            raise SourceError(
                "the hub has no such data set, or it is private", f"check the name, or {MAY_READ}"
            ) from None
        raise status_failure(status) from None
    except Exception as error:  # noqa: BLE001, the versions of the hub's client differ
        raise network_failure(error) or SourceError(
            f"no answer of the hub: {one_line(error)}", "check HF_ENDPOINT"
        ) from None
