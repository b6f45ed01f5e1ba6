"""Download a file over https and verify its checksum; say by cause why that failed."""

import errno
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from tqdm import tqdm

from ordinal.common.errors import UserError, one_line
from ordinal.common.files import BLOCK, git_blob_id, is_html, sha256
from ordinal.common.paths import CATALOG

T = TypeVar("T")

TRIES = 3
FIRST_PAUSE = 1.0  # seconds; doubled after each try
TIMEOUT = (10, 60)  # seconds to connect, and between two packets
SLOWEST = 1000  # bytes per second, on average over more than the second of `TIMEOUT`
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TRY_LATER = "try again later"
NEW_CHECKSUM = f"put the new checksum in {CATALOG} if the file was changed on purpose"


class SourceError(Exception):
    """The reason why a source did not deliver, and the advice that follows from it."""

    def __init__(self, reason: str, advice: str, *, retry: bool = False) -> None:
        super().__init__(reason)
        self.advice = advice
        self.retry = retry
        """True if the same request may succeed a second later."""

    def at(self, source: str) -> "SourceError":
        """Return the same error with the source named in its reason."""
        return SourceError(f"{source}: {self}", self.advice)


def no_source(what: str, failures: list[SourceError], alternative: str) -> UserError:
    """Return the error that names the reason of each source, and each advice once."""
    reasons = "; ".join(str(failure) for failure in failures)
    advice = ", ".join(dict.fromkeys(failure.advice for failure in failures))
    return UserError(f"{what} was not downloaded ({reasons}): {advice}, or {alternative}")


def download(url: str, path: Path, headers: Mapping[str, str] | None = None) -> None:
    """Stream `url` into `path`, over https only (or http on loopback), redirects included.

    Failures that may pass, such as a lost connection or a server's error, are tried again.

    Raises:
        SourceError: the last failure.
    """

    def attempt() -> None:
        try:
            _stream(session, url, path, headers)
        # ValueError: a redirect to an invalid address.
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise _failure(error) from None

    with _Session() as session:
        try:
            retried(attempt)
        except SourceError:
            path.unlink(missing_ok=True)
            raise


def retried(attempt: Callable[[], T]) -> T:
    """Return the result of an attempt, of which there are at most `TRIES`.

    Raises:
        SourceError: the last failure, or the first one that would be the same in a second.
    """
    for pause in (FIRST_PAUSE * 2**number for number in range(TRIES - 1)):
        try:
            return attempt()
        except SourceError as failure:
            if not failure.retry:
                raise
        time.sleep(pause)
    return attempt()


class _Session(requests.Session):
    """Accepts https, and http on loopback. Every redirect passes here, too."""

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
        # disable=None: no bar without a terminal.
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
            # read1, because read waits for a whole block, however slowly it arrives.
            while block := response.raw.read1(BLOCK, decode_content=True):
                file.write(block)
                bar.update(len(block))
                seconds = time.monotonic() - started
                if seconds > TIMEOUT[1] and file.tell() < SLOWEST * seconds:
                    raise SourceError(
                        f"time-out: slower than {SLOWEST} bytes per second", TRY_LATER, retry=True
                    )
    if is_html(path):
        raise SourceError(
            "an HTML page instead of a file", "see in a browser whether the URL asks for a login"
        )


def _failure(error: Exception) -> SourceError:
    """Return the reason of a failed request, by cause."""
    if isinstance(error, requests.HTTPError):
        return status_failure(error.response.status_code)
    if isinstance(error, requests.exceptions.InvalidSchema):
        return SourceError(f"not https: {error}", "use an https URL")
    if failure := network_failure(error):
        return failure
    if isinstance(error, requests.TooManyRedirects | ValueError):
        return SourceError(f"redirect to nowhere: {one_line(error)}", "check the URL")
    return SourceError("connection lost", TRY_LATER, retry=True)


def status_failure(status: int) -> SourceError:
    """Return the reason for an HTTP status of 400 or more."""
    reason = f"{status} {http.client.responses.get(status, '')}".rstrip()
    if status in (401, 403):
        return SourceError(reason, "check who may read it (on the model hub: set HF_TOKEN)")
    if status in (408, 429) or status >= 500:
        return SourceError(reason, TRY_LATER, retry=True)
    return SourceError(reason, "check the URL")


def network_failure(error: BaseException) -> SourceError | None:
    """Return the reason if an error arose from the network, whichever library raised it."""
    causes = list(_causes(error))
    proxied = isinstance(error, requests.exceptions.ProxyError)
    peer, advice = ("proxy", "check HTTPS_PROXY") if proxied else ("host", "check the network")
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            reason = getattr(cause, "verify_message", None) or cause.reason or one_line(cause)
            return SourceError(
                f"TLS failure: {reason}",
                "check the URL, and this machine's clock and trusted certificates",
            )
        if isinstance(cause, TimeoutError):
            return SourceError("time-out: no answer", TRY_LATER, retry=True)
        if reason := _no_network(cause):
            return SourceError(f"no network: the {peer} {reason}", advice, retry=True)
    if proxied:
        return SourceError(f"no network: the proxy says {one_line(causes[-1])}", advice)
    return None


def _no_network(cause: BaseException) -> str | None:
    if isinstance(cause, socket.gaierror):
        return "cannot be resolved"
    if isinstance(cause, ConnectionRefusedError):
        return "refuses connections"
    if getattr(cause, "errno", None) in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return "cannot be reached"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def verify(path: Path, checksum: str, advice: str = NEW_CHECKSUM) -> None:
    """Compare a file with `sha256:…` or `git-blob:…`.

    Raises:
        SourceError: they differ.
    """
    kind, expected = checksum.split(":")
    actual = {"sha256": sha256, "git-blob": git_blob_id}[kind](path)
    if actual != expected:
        raise SourceError(
            f"checksum mismatch: {kind} is {actual[:12]}…, expected {expected[:12]}…",
            advice,
        )


def verify_file(path: Path, checksum: str, name: str) -> None:
    """Verify a file that errors call `name`.

    Raises:
        SourceError: it has another checksum.
    """
    try:
        verify(path, checksum)
    except SourceError as failure:
        raise failure.at(name) from None
