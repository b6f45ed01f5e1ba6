"""Downloads: verified files, retries, and an error message for each cause."""

import hashlib
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from ordinal.common.errors import UserError
from ordinal.common.files import BLOCK, git_blob_id, sha256
from ordinal.sources import download as downloads
from ordinal.sources.catalog import DataSet
from ordinal.sources.data_files import fetch_data
from ordinal.sources.download import SourceError, download
from tests.conftest import run_in
from tests.loopback import Answer, Loopback
from tests.sources.conftest import files_in

# One URL


def test_a_server_error_is_retried_twice(server: Loopback, tmp_path: Path, no_pauses: None) -> None:
    url = server.answer("/file", Answer(500), Answer(503), Answer(body=b"reviews"))
    download(url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"reviews"
    assert server.asked == ["/file"] * 3


def test_a_download_that_breaks_off_starts_again(
    server: Loopback, tmp_path: Path, no_pauses: None
) -> None:
    url = server.answer("/file", Answer(body=b"reviews", sends=3), Answer(body=b"reviews"))
    download(url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"reviews"


LATER = "try again later"
PAGE = Answer(body=b"\n<!DOCTYPE html><html><body>Please sign in</body></html>")
NOWHERE = Answer(302, headers={"Location": "https://"})
LOOP = Answer(302, headers={"Location": "/file"})


@pytest.mark.parametrize(
    ("answer", "requests", "reason", "advice"),
    [
        (Answer(404), 1, "404 Not Found", "check the URL"),
        (Answer(410), 1, "410 Gone", "check the URL"),
        (Answer(499), 1, "499", "check the URL"),
        (Answer(401), 1, "401 Unauthorized", "check who may read it"),
        (Answer(403), 1, "403 Forbidden", "check who may read it"),
        (Answer(429), 3, "429 Too Many Requests", LATER),
        (Answer(500), 3, "500 Internal Server Error", LATER),
        (Answer(body=b"reviews", sends=3), 3, "connection lost", LATER),
        (Answer(body=b"reviews", sends=3, then_waits=True), 3, "time-out: no answer", LATER),
        (Answer(body=b"reviews" * 20, drips=True), 3, "time-out: slower than 1000 bytes", LATER),
        (PAGE, 1, "an HTML page instead of a file", "see in a browser"),
        (NOWHERE, 1, "redirect to nowhere: No host specified", "check the URL"),
        (LOOP, 31, "redirect to nowhere: Exceeded 30 redirects", "check the URL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failed_download_says_why_and_what_to_do_and_leaves_no_file(
    server: Loopback,
    tmp_path: Path,
    no_pauses: None,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    requests: int,
    reason: str,
    advice: str,
) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", (5, 0.2))
    with pytest.raises(SourceError) as raised:
        download(server.answer("/file", answer), tmp_path / "file")
    assert str(raised.value).startswith(reason)
    assert raised.value.advice.startswith(advice)
    assert server.asked == ["/file"] * requests
    assert files_in(tmp_path) == {}


def test_a_refused_connection_is_a_missing_network(
    closed_port: str, tmp_path: Path, no_pauses: None
) -> None:
    with pytest.raises(SourceError, match="no network: the host refuses connections") as raised:
        download(closed_port, tmp_path / "file")
    assert raised.value.advice == "check the network"


def test_an_unknown_host_is_a_missing_network(
    tmp_path: Path, no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(SourceError, match="no network: the host cannot be resolved") as raised:
        download("https://localtest.invalid/file", tmp_path / "file")
    assert raised.value.advice == "check the network"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no network: the proxy refuses connections"),
        (Answer(403), "no network: the proxy says Tunnel connection failed: 501"),
    ],
    ids=["closed", "refuses"],
)
def test_a_proxy_that_does_not_connect_is_named(
    server: Loopback,
    closed_port: str,
    tmp_path: Path,
    no_pauses: None,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer | None,
    reason: str,
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, server.url if answer else closed_port)
    with pytest.raises(SourceError, match=reason) as raised:
        download("https://localtest.invalid/file", tmp_path / "file")
    assert raised.value.advice == "check HTTPS_PROXY"


def test_a_server_without_tls_is_not_called_a_missing_network(
    server: Loopback, tmp_path: Path, no_pauses: None
) -> None:
    with pytest.raises(SourceError, match="TLS failure: ") as raised:
        download(server.url.replace("http:", "https:"), tmp_path / "file")
    assert "trusted certificates" in raised.value.advice


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://localtest.invalid/file",
        "http://127.0.0.1:80@localtest.invalid/file",
        "http://127.0.0.1.localtest.invalid/file",
        "file:///etc/hostname",
        "ftp://127.0.0.1/file",
    ],
)
def test_anything_but_https_is_refused_at_once(
    server: Loopback, tmp_path: Path, elsewhere: str
) -> None:
    redirect = server.answer("/file", Answer(302, headers={"Location": elsewhere}))
    for url in (elsewhere, redirect):
        with pytest.raises(SourceError, match=f"not https: {elsewhere}") as raised:
            download(url, tmp_path / "file")
        assert raised.value.advice == "use an https URL"
    assert server.asked == ["/file"]
    assert files_in(tmp_path) == {}


def test_a_redirect_to_this_machine_is_followed(server: Loopback, tmp_path: Path) -> None:
    there = server.answer("/there", Answer(body=b"reviews")).replace("127.0.0.1", "localhost")
    here = server.answer("/here", Answer(302, headers={"Location": there}))
    download(here, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"reviews"


@pytest.mark.parametrize("content", [b"", b"one\r\ntwo\n", b"\0" * (BLOCK + 1)])
def test_hashes_are_those_of_git_and_of_hashlib(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    done = run_in(tmp_path, "git", "hash-object", "--no-filters", "file")
    assert git_blob_id(path) == done.stdout.strip()
    assert sha256(path) == hashlib.sha256(content).hexdigest()


# Several sources of a data set


def data_set(content: bytes, *sources: str) -> DataSet:
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return DataSet(
        sources=list(sources),
        checksum=checksum,
        text="review",
        label="stars",
        labels=[1, 2],
        licence="MIT",
        origin="a test",
    )


def test_a_local_file_is_preferred(server: Loopback, tmp_path: Path) -> None:
    local = tmp_path / "own.csv"
    local.write_bytes(b"reviews")
    url = server.answer("/reviews.csv", Answer(body=b"reviews"))
    assert fetch_data("mine", data_set(b"reviews", str(local), url), tmp_path) == local
    assert server.asked == []


def test_the_next_source_is_used_if_one_has_another_file(server: Loopback, tmp_path: Path) -> None:
    local = tmp_path / "own.csv"
    local.write_bytes(b"changed by hand")
    sources = [
        server.answer("/old/reviews.csv", Answer(body=b"an older version")),
        server.answer("/new/reviews.csv", Answer(body=b"reviews")),
    ]
    (tmp_path / "fetched").mkdir()
    path = fetch_data("mine", data_set(b"reviews", str(local), *sources), tmp_path / "fetched")
    assert path.read_bytes() == b"reviews"
    assert server.asked == ["/old/reviews.csv", "/new/reviews.csv"]
    assert local.read_bytes() == b"changed by hand"


def test_the_query_is_not_part_of_the_file_name(server: Loopback, tmp_path: Path) -> None:
    url = server.answer("/reviews.csv?download=1", Answer(body=b"reviews"))
    assert fetch_data("mine", data_set(b"reviews", url), tmp_path) == tmp_path / "reviews.csv"


def test_the_reason_of_each_source_is_named_and_each_advice_once(
    server: Loopback, closed_port: str, tmp_path: Path, no_pauses: None
) -> None:
    expected, actual = (hashlib.sha256(content).hexdigest() for content in (b"reviews", b"others"))
    gone = [server.answer(f"/{number}/reviews.csv", Answer(404)) for number in (1, 2)]
    changed = server.answer("/3/reviews.csv", Answer(body=b"others"))
    sources = ["nowhere.csv", *gone, changed, f"{closed_port}/reviews.csv"]
    with pytest.raises(UserError) as raised:
        fetch_data("mine", data_set(b"reviews", *sources), tmp_path)
    assert str(raised.value) == (
        "data set 'mine' was not downloaded (nowhere.csv: no such file; "
        f"{gone[0]}: 404 Not Found; {gone[1]}: 404 Not Found; "
        f"{changed}: checksum mismatch: sha256 is {actual[:12]}…, expected {expected[:12]}…; "
        f"{closed_port}/reviews.csv: no network: the host refuses connections): "
        "put the file at nowhere.csv, check the URL, put the new checksum in data/catalog.yaml if "
        "the file was changed on purpose, check the network, or set data.name to demo, which is "
        "built in, and run `make repro`"
    )
