"""Download a file, and take it only if its checksum is the one expected."""

import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from tqdm import tqdm

from ordinal.common.errors import UserError
from ordinal.common.files import BLOCK, git_blob_id, is_html, sha256
from ordinal.sources.catalog import BUILTIN, DataSet

TRIES = 3
FIRST_PAUSE = 1.0  # seconds; doubled after each try
TIMEOUT = (10, 60)  # seconds to connect, and between two packets
SLOWEST = 1000  # bytes a second on average: what takes longer than a timeout may not be slower
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SourceError(Exception):
    """One source could not deliver; the next may."""


def find_data(entry: DataSet, folder: Path) -> Path:
    """Bring the file of a data set from the first source that has it.

    Returns the local file as it lies, or the one downloaded into `folder`.

    Raises:
        UserError: no source delivers the file with the checksum of the catalog.
    """
    failures = []
    for source in entry.sources:
        try:
            if source.startswith(("http://", "https://")):
                path = folder / Path(urlsplit(source).path).name  # without ?download=1
                download(source, path)
            else:
                path = Path(source)
                if not path.is_file():
                    raise SourceError("no such file")
            if entry.checksum:
                verify(path, entry.checksum)
        except SourceError as failure:
            failures.append(f"{source}: {failure}")
        else:
            return path
    local = next((source for source in entry.sources if "://" not in source), None)
    advice = f"put the file at {local} and run again, or " if local and local != BUILTIN else ""
    raise UserError(
        f"the data could not be had ({'; '.join(failures)}): check the network, {advice}"
        "set data.name to demo, which is built in, and run `make repro`"
    )


def download(url: str, path: Path, headers: Mapping[str, str] | None = None) -> None:
    """Stream `url` into `path`, over https only (or http on loopback), redirects included.

    A connection that breaks or only drips, and a server's error, are tried again, after a pause.

    Raises:
        SourceError: with the reason, after the last try.
    """
    with _Session() as session:
        for attempt in range(TRIES):
            if attempt:
                time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                return _stream(session, url, path, headers)
            except requests.HTTPError as error:
                failure = SourceError(f"the server answered {error.response.status_code}")
                if error.response.status_code < 500:
                    break
            except requests.exceptions.InvalidSchema as error:
                raise SourceError(f"refused, since it is not https ({error})") from None
            # ValueError: it redirects to what is no address.
            except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
                failure = SourceError(_reason(error))
            except SourceError as error:
                failure = error
    path.unlink(missing_ok=True)
    raise failure


class _Session(requests.Session):
    """Refuses what is neither https nor http on loopback; each redirect passes here too."""

    def get_adapter(self, url: str) -> BaseAdapter:
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
            return super().get_adapter(url)
        raise requests.exceptions.InvalidSchema(url)


def _stream(
    session: requests.Session, url: str, path: Path, headers: Mapping[str, str] | None
) -> None:
    with session.get(url, stream=True, timeout=TIMEOUT, headers=headers) as response:
        response.raise_for_status()
        # disable=None: no bar where there is no terminal.
        with (
            tqdm(
                total=response.raw.length_remaining,
                unit="B",
                unit_scale=True,
                desc=path.name,
                disable=None,
            ) as bar,
            path.open("wb") as file,
        ):
            started = time.monotonic()
            # read1, because read waits for the whole block, however slowly it comes.
            while block := response.raw.read1(BLOCK, decode_content=True):
                file.write(block)
                bar.update(len(block))
                seconds = time.monotonic() - started
                if seconds > TIMEOUT[1] and file.tell() < SLOWEST * seconds:
                    raise SourceError(f"slower than {SLOWEST} bytes a second")


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "no secure connection (does this machine trust the server's certificate?)"
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "the connection broke off in the middle of the file"
    if isinstance(error, requests.TooManyRedirects | ValueError):
        return "it redirects to nowhere"
    return "could not be reached"


def verify(path: Path, checksum: str) -> None:
    """Compare a file with `sha256:…` or `git-blob:…`.

    Raises:
        SourceError: they differ.
    """
    kind, expected = checksum.split(":")
    actual = {"sha256": sha256, "git-blob": git_blob_id}[kind](path)
    if actual != expected:
        page = ", an HTML page" if is_html(path) else ""
        raise SourceError(
            f"not the file expected{page} ({kind} {actual[:12]}…, not {expected[:12]}…)"
        )
