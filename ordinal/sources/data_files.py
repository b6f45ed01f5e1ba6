"""Get the file of a data set: a local path, or an https, s3, gs or hf URL."""

import logging
import re
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ordinal.common.errors import DISK_FULL, UserError, one_line
from ordinal.common.files import sha256
from ordinal.sources.catalog import DataSet
from ordinal.sources.download import (
    TRY_LATER,
    SourceError,
    download,
    network_failure,
    no_source,
    verify,
)
from ordinal.sources.hub import download_file

CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
HUB_FILE = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/]+))?/(.+)")
USE_DEMO = "set data.name to demo, which is built in, and run `make repro`"
CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true if it is public",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_GS_TOKEN=anon if it is public",
}
"""The environment variables with the credentials for each kind of bucket."""
ANSWER = 20  # seconds for the first answer; without a network gcsfs would retry for 4 minutes
# Not fsspec's own choice for gs: gcsfs 2026.10 asks by gRPC, and waits 60 s for each answer.
FILESYSTEMS = {"s3": ("s3fs", "S3FileSystem"), "gs": ("gcsfs.core", "GCSFileSystem")}
OPTIONS: dict[str, dict[str, Any]] = {
    # The defaults retry for minutes without a network.
    "s3": {"config_kwargs": {"connect_timeout": 10, "retries": {"max_attempts": 2}}},
    "gs": {},
}


def is_url(source: str) -> bool:
    """Return whether a source is a URL, and not a path."""
    return URL.match(source) is not None


def shown(source: str) -> str:
    """Return a source for messages: a URL without password and query, which may be secrets."""
    if not is_url(source):
        return source
    url = urlsplit(source)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def fetch_data(name: str, entry: DataSet, folder: Path) -> Path:
    """Get the file of a data set from the first source that delivers it.

    Returns:
        The path of the local file, or of the download, which is in `folder`.

    Raises:
        UserError: no source delivers the file with the checksum of the catalog.
    """
    failures = []
    for source in entry.sources:
        try:
            path = _fetch(source, folder)
            if entry.checksum:
                verify(path, entry.checksum)
        except SourceError as failure:
            failures.append(failure.at(shown(source)))
        else:
            return path
    raise no_source(f"data set '{name}'", failures, USE_DEMO)


def fetch_url(url: str, checksum: str | None, folder: Path) -> Path:
    """Download the file of a URL that is not in the catalog.

    Raises:
        UserError: it can't be downloaded, or `checksum` is not the one of the file.
    """
    name = shown(url)
    try:
        path = _fetch(url, folder)
        if checksum is None or not CHECKSUM.fullmatch(checksum):
            raise UserError(
                f"data.name is the URL {name}, whose file may change: set data.revision to its "
                f"checksum, which is sha256:{sha256(path)} now"
            )
        verify(path, checksum, "set data.revision to the new checksum if you trust the new file")
    except SourceError as failure:
        raise no_source("data.name", [failure.at(name)], USE_DEMO) from None
    return path


def _fetch(source: str, folder: Path) -> Path:
    """Return the path of a local file, or download a URL into the folder."""
    if found := URL.match(source):
        path = folder / (Path(urlsplit(source).path).name or "table")  # without ?download=1
        _download(found[1].lower(), source, path)
        return path
    path = Path(source)
    if not path.is_file():
        reason = "a folder, not a file" if path.is_dir() else "no such file"
        raise SourceError(reason, f"put the file at {path}")
    return path


def _download(scheme: str, url: str, path: Path) -> None:
    if "@" in urlsplit(url).netloc:
        raise SourceError(
            "the URL has a user name in it",
            "remove it, since params.yaml is public (passwords for https belong in ~/.netrc)",
        )
    if scheme in ("http", "https"):
        download(url, path)
    elif scheme == "hf":
        found = HUB_FILE.fullmatch(url)
        if found is None:
            raise SourceError(
                "not the address of a file", "use hf://datasets/OWNER/NAME@COMMIT/FILE"
            )
        repository, revision, file = found.groups()
        download_file(repository, revision or "main", file, path)
    elif scheme in OPTIONS:
        _download_object(scheme, url, path)
    else:
        raise SourceError(f"{scheme}:// is not supported", "use an https, s3, gs or hf URL")


def _download_object(scheme: str, url: str, path: Path) -> None:
    """Download an object of a bucket. The library tries again after failures that may pass.

    Raises:
        SourceError: it can't be downloaded, or the package for this kind of bucket is missing.
    """
    module, name = FILESYSTEMS[scheme]
    try:
        bucket = getattr(import_module(module), name)(**OPTIONS[scheme])
    except ImportError:
        package = module.partition(".")[0]
        raise SourceError(
            f"the package {package} is missing", f"install it with `pip install '.[{scheme}]'`"
        ) from None
    logging.getLogger(module.partition(".")[0]).setLevel(logging.CRITICAL)  # prints tracebacks
    try:
        size = bucket.info(url, timeout=ANSWER)["size"]
        bucket.get_file(url, str(path))
        complete = path.is_file() and path.stat().st_size == size
    except Exception as error:
        if getattr(error, "errno", None) in DISK_FULL:
            raise
        raise object_failure(scheme, error) from None
    if not complete:
        raise SourceError("connection lost", TRY_LATER)


def object_failure(scheme: str, error: Exception) -> SourceError:
    """Return the reason why an object of a bucket was not downloaded."""
    if isinstance(error, FileNotFoundError):
        return SourceError("no such bucket or file", "check the URL")
    if isinstance(error, TimeoutError):
        return SourceError(f"no answer within {ANSWER} seconds", "check the network")
    if isinstance(error, PermissionError) or "credentials" in type(error).__name__.lower():
        return SourceError("access denied", f"set {CREDENTIALS[scheme]}")
    return network_failure(error) or SourceError(one_line(error), "check the URL")
