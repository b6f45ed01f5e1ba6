"""Repositories of the hub: the files of a commit with their checksums, and verified downloads."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from huggingface_hub import DatasetInfo, ModelInfo

COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT = 30  # seconds
MAY_READ = "set HF_TOKEN to a token that may read it"


@dataclass(frozen=True)
class _Kind:
    """A kind of repository: its type on the hub, its name in errors, and what sets its commit."""

    type: str
    name: str
    revision: str


DATA_SET = _Kind("dataset", "data set", "data.revision")
MODEL = _Kind("model", "model", "--revision")


@dataclass(frozen=True)
class HubModel:
    """A model of the hub at a commit. The licence is None if the hub states none."""

    commit: str
    checksums: dict[str, str]
    licence: str | None


def model_at(repository: str, revision: str | None) -> HubModel:
    """Return the files of a model at a revision, or, if it is None, at the newest commit.

    Raises:
        SourceError: the hub does not answer, or has no such model or revision.
    """
    info = _info(repository, revision, MODEL)
    if not COMMIT.fullmatch(info.sha or "") or (
        revision is not None and COMMIT.fullmatch(revision) and info.sha != revision
    ):
        raise SourceError(f"the hub does not confirm commit {revision}", "check HF_ENDPOINT")
    card: Any = info.card_data or {}
    licence = card.get("license_name") or card.get("license")
    return HubModel(str(info.sha), _checksums(info), str(licence) if licence else None)


def files_at(repository: str, commit: str | None) -> dict[str, str]:
    """Return the checksum of each file of a data set at a commit.

    Raises:
        SourceError: the hub does not answer or has no such commit, or `commit` is None or the name
            of a branch or tag. The advice then is the commit to use.
    """
    info = _info(repository, commit, DATA_SET)
    if commit is None or not COMMIT.fullmatch(commit):
        what = "no commit is given" if commit is None else f"{commit} is not a commit of 40 digits"
        raise SourceError(what, f"set data.revision to {info.sha}, the commit that it has now")
    if info.sha != commit:
        raise SourceError(f"the hub does not confirm commit {commit}", "check HF_ENDPOINT")
    return _checksums(info)


def _checksums(info: "DatasetInfo | ModelInfo") -> dict[str, str]:
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


def _info(repository: str, revision: str | None, kind: _Kind) -> "DatasetInfo | ModelInfo":
    _refuse_offline()
    try:
        return retried(lambda: _ask(repository, revision, kind))
    except _UnknownRevisionError:
        newest = _info(repository, None, kind).sha
    raise SourceError(
        f"it has no commit, branch or tag {revision}",
        f"set {kind.revision} to a commit of it, such as {newest}, which is the newest",
    )


class _UnknownRevisionError(Exception):
    pass


def _ask(repository: str, revision: str | None, kind: _Kind) -> "DatasetInfo | ModelInfo":
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    try:
        return HfApi().repo_info(  # type: ignore[return-value]
            repository,
            revision=revision,
            repo_type=kind.type,
            files_metadata=True,
            timeout=TIMEOUT,
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
                f"the hub has no such {kind.name}, or it is private",
                f"check the name, or {MAY_READ}",
            ) from None
        raise status_failure(status) from None
    except Exception as error:  # noqa: BLE001, the versions of the hub's client differ
        raise network_failure(error) or SourceError(
            f"no answer of the hub: {one_line(error)}", "check HF_ENDPOINT"
        ) from None
