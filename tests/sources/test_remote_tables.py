"""Tables at URLs: https, S3 and Google Storage buckets, and files of the hub."""

import errno
import hashlib
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ordinal.common.files import read_json
from ordinal.sources.data_files import object_failure, shown
from tests.buckets import Bucket
from tests.conftest import run_in, set_params, write_reviews_csv
from tests.hub import COMMIT
from tests.loopback import Answer, Loopback
from tests.sources.conftest import files_in, read_catalog, the_error, write_catalog

DOWNLOAD = ("python", "-m", "stages.download")


@pytest.fixture
def reviews(tmp_path: Path) -> bytes:
    write_reviews_csv(tmp_path / "reviews.csv")
    return (tmp_path / "reviews.csv").read_bytes()


def pin(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def choose(place: Path, url: str, revision: str | None, **changes: object) -> None:
    values = {"name": url, "revision": revision, "text": "review", "label": "stars"}
    set_params(place, {f"data.{key}": value for key, value in (values | changes).items()})


def add_entry(place: Path, *sources: str, **changes: object) -> None:
    """Add the entry `stays` to the catalog of a place, and choose it."""
    catalog = read_catalog(place)
    entry = catalog["data"]["coursera"] | {"text": "review", "label": "stars"}
    catalog["data"]["stays"] = entry | {"sources": list(sources)} | changes
    write_catalog(place, catalog)
    set_params(place, {"data.name": "stays"})


def facts_of(place: Path) -> dict[str, Any]:
    """Run the stage, and return the facts that it has written."""
    run = run_in(place, *DOWNLOAD)
    assert run.returncode == 0, run.stderr
    facts: dict[str, Any] = read_json(place / "data/raw/facts.json")
    return facts


def error_of(place: Path, **environment: str) -> str:
    """Run the stage, which must fail and leave nothing behind, and return its one sentence."""
    before = files_in(place / "data")
    error = the_error(run_in(place, *DOWNLOAD, **environment))
    assert files_in(place / "data") == before
    return error


# https


def test_the_file_of_a_url_is_read_if_it_is_pinned(
    server: Loopback, place: Path, reviews: bytes
) -> None:
    url = server.answer("/stays/reviews.csv", Answer(body=reviews))
    choose(place, url, pin(reviews))
    facts = facts_of(place)
    assert (facts["name"], facts["rows"], facts["origin"]) == ("reviews.csv", 120, url)
    assert f"sha256:{facts['sha256']}" == pin(reviews)


def test_a_url_without_a_checksum_is_refused_with_the_one_to_use(
    server: Loopback, place: Path, reviews: bytes
) -> None:
    url = server.answer("/reviews.csv", Answer(body=reviews))
    for revision in (None, "main", COMMIT):
        choose(place, url, revision)
        assert error_of(place) == (
            f"error: data.name is the URL {url}, whose file may change: set data.revision to its "
            f"checksum, which is {pin(reviews)} now"
        )


def test_a_changed_file_is_refused(server: Loopback, place: Path, reviews: bytes) -> None:
    url = server.answer("/reviews.csv", Answer(body=reviews + b"late,5\n"))
    choose(place, url, pin(reviews))
    error = error_of(place)
    assert f"{url}: checksum mismatch: sha256 is " in error
    assert "): set data.revision to the new checksum if you trust the new file, or" in error


def test_no_query_is_shown(server: Loopback, place: Path, reviews: bytes) -> None:
    path = "/reviews.csv?X-Amz-Signature=secret"
    url = server.answer(path, Answer(body=reviews))
    choose(place, url, pin(reviews))
    run = run_in(place, *DOWNLOAD)
    assert run.returncode == 0, run.stderr
    written = (place / "data/raw/facts.json").read_text()
    server.answer(path, Answer(404))
    error = the_error(run_in(place, *DOWNLOAD))
    assert f"{server.url}/reviews.csv: 404 Not Found" in error
    assert "secret" not in run.stdout + run.stderr + written + error


@pytest.mark.parametrize(
    "url", ["https://me:secret@localhost/r.csv", "s3://me:secret@bucket/r.csv"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str, place: Path) -> None:
    choose(place, url, None)
    error = error_of(place)
    assert "the URL has a user name in it" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://localhost/r.csv", "ftp:// is not supported): use an https, s3, gs or hf URL"),
        ("hf://someone/r.csv", "not the address of a file): use hf://datasets/OWNER/NAME@COMMIT"),
        ("http://localtest.invalid/r.csv", "not https: http://localtest.invalid/r.csv): use an ht"),
    ],
)
def test_other_urls_are_refused(url: str, reason: str, place: Path) -> None:
    choose(place, url, None)
    assert reason in error_of(place)
    add_entry(place, url)
    assert reason in error_of(place)


def test_the_columns_of_a_url_must_be_named(server: Loopback, place: Path) -> None:
    choose(place, f"{server.url}/r.csv", None, label=None)
    assert f"data.name is the URL {server.url}/r.csv: name its columns" in error_of(place)
    assert server.asked == []


def test_paths_are_no_urls() -> None:
    for path in ("data/own/a.csv", "C:/a.csv", "a:b", "hub:a/b"):
        assert shown(path) == path


# Buckets


def test_a_table_in_a_bucket_is_read(bucket: Bucket, place: Path, reviews: bytes) -> None:
    choose(place, bucket.put(reviews, "2026/all reviews.csv"), pin(reviews))
    assert facts_of(place)["rows"] == 120
    run = run_in(place, "python", "-m", "stages.split")
    assert run.returncode == 0, run.stderr
    before = files_in(place / "data/raw")
    facts_of(place)
    assert files_in(place / "data/raw") == before


def test_a_bucket_is_a_source_of_the_catalog(
    bucket: Bucket, place: Path, reviews: bytes, server: Loopback
) -> None:
    gone = server.answer("/reviews.csv", Answer(404))
    url = bucket.put(reviews)
    add_entry(place, gone, url, checksum=pin(reviews))
    assert facts_of(place)["rows"] == 120
    bucket.put(reviews + b"late,5\n")
    error = error_of(place)
    assert f"{gone}: 404 Not Found; {url}: checksum mismatch: sha256 is" in error
    add_entry(place, url, checksum=None, allow_unpinned=True)
    assert facts_of(place)["rows"] == 121


def test_a_missing_file_or_bucket_is_named(bucket: Bucket, place: Path) -> None:
    for url in ("s3://stays/r.csv", "s3://elsewhere/r.csv"):
        choose(place, url, pin(b""))
        assert f"({url}: no such bucket or file): check the URL, or" in error_of(place)


def test_without_credentials_the_variables_to_set_are_named(
    bucket: Bucket, place: Path, reviews: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(place, bucket.put(reviews), pin(reviews))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "access denied): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON" in (
        error_of(place)
    )


def test_a_bucket_out_of_reach_is_a_missing_network(
    bucket: Bucket, place: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", closed_port)
    choose(place, "s3://stays/reviews.csv", pin(b""))
    error = error_of(place)
    assert "no network: the host refuses connections): check the network, or" in error
    assert "hidden" not in error


def test_what_a_bucket_denies_is_named_by_cause() -> None:
    denied = object_failure("gs", PermissionError("AccessDenied"))
    assert str(denied) == "access denied"
    assert denied.advice.startswith("set GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_GS_TOKEN=anon")
    late = object_failure("gs", TimeoutError())
    assert (str(late), late.advice) == ("no answer within 20 seconds", "check the network")
    other = object_failure("s3", OSError("SlowDown\nReduce your request rate"))
    assert (str(other), other.advice) == ("SlowDown Reduce your request rate", "check the URL")


def test_a_full_disk_is_not_taken_for_a_failure_of_the_bucket(
    bucket: Bucket, place: Path, reviews: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    async def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    choose(place, bucket.put(reviews), pin(reviews))
    monkeypatch.setattr(S3FileSystem, "_get_file", full)
    assert "the disk is full" in error_of(place)


def test_half_an_object_is_refused(
    bucket: Bucket, place: Path, reviews: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    async def half(self: S3FileSystem, source: str, path: str, **_: object) -> None:
        Path(path).write_bytes(reviews[:100])

    add_entry(place, bucket.put(reviews), checksum=None, allow_unpinned=True)
    monkeypatch.setattr(S3FileSystem, "_get_file", half)
    assert "s3://stays/reviews.csv: connection lost): try again later" in error_of(place)


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_missing_package_is_named_with_its_extra(
    scheme: str, package: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    choose(place, f"{scheme}://stays/reviews.csv", pin(b""))
    reason = f"the package {package} is missing): install it with `pip install '.[{scheme}]'`"
    assert reason in error_of(place)


# Files of the hub


def test_a_file_of_the_hub_is_read(online: Loopback, place: Path, reviews: bytes) -> None:
    for revision in ("main", COMMIT):
        path = f"/datasets/someone/stays/resolve/{revision}/2026/reviews.csv"
        online.answer(path, Answer(body=reviews))
    for url in (
        "hf://datasets/someone/stays/2026/reviews.csv",
        f"hf://datasets/someone/stays@{COMMIT}/2026/reviews.csv",
    ):
        choose(place, url, pin(reviews))
        assert facts_of(place)["rows"] == 120
    choose(place, "hf://datasets/someone/stays/r.csv", pin(reviews))
    assert "r.csv: 404 Not Found): check the URL, or" in error_of(place)


def test_the_numbers_of_classes_can_be_labels_in_another_order(
    online: Loopback, place: Path
) -> None:
    table = b"review,stars\na,0\nb,1\nc,2\n"
    online.answer("/datasets/someone/stays/resolve/main/r.csv", Answer(body=table))
    url = "hf://datasets/someone/stays/r.csv"
    add_entry(place, url, checksum=pin(table), labels=[1, 0, 2])
    assert facts_of(place)["labels"] == ["1", "0", "2"]
