"""A server on this machine that stands in for the code host and for the model hub."""

import csv
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

from ordinal.common.files import git_blob_id, read_json, sha256
from ordinal.sources import download as downloads
from ordinal.sources.catalog import ENCODER_FILES
from tests.conftest import ROOT, run_in, write_reviews_csv
from tests.loopback import Answer, Loopback, serving

CODE_HOST = "https://raw.githubusercontent.com"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with serving() as server:
        yield server


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in which the stages can run in this process."""
    (tmp_path / "place/data").mkdir(parents=True)
    for file in ("params.yaml", "data/catalog.yaml"):
        shutil.copy(ROOT / file, tmp_path / "place" / file)
    return tmp_path / "place"


@pytest.fixture
def online(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """A server that is the hub for commands that run in this process."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return server


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FIRST_PAUSE", 0)


def no_network(proxy: str) -> dict[str, str]:
    """Return an environment in which every connection goes through this proxy."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    proxies = dict.fromkeys([*names, *(name.lower() for name in names)], proxy)
    return {**proxies, "NO_PROXY": "", "no_proxy": "", "HF_HUB_OFFLINE": "0"}


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
    """Answer as the hub does: each answer states the file's hash; weights are on another host."""
    for file in sorted(path.name for path in folder.iterdir()):
        path = f"/{repository}/resolve/{revision}/{file}"
        content = Answer(body=(folder / file).read_bytes())
        headers = {"X-Repo-Commit": revision, "ETag": f'"{git_blob_id(folder / file)}"'}
        if file.endswith(".safetensors"):
            store = server.answer(f"/store/{file}", content)
            headers["Location"] = store.replace("127.0.0.1", "localhost")
            headers["X-Linked-Etag"] = f'"{sha256(folder / file)}"'
            headers["X-Linked-Size"] = str(len(content.body))
            server.answer(path, Answer(302, headers=headers))
        else:
            server.answer(path, Answer(body=content.body, headers=headers))


@dataclass
class Clone:
    """A fresh clone of the project whose downloads come from the server."""

    project: Path
    server: Loopback
    served: dict[str, list[str]]
    """For each stage that downloads, the server's paths of a file that it needs."""

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        hub = {
            "HF_ENDPOINT": self.server.url,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(self.project.parent / "hub"),  # not the developer's
        }
        return run_in(self.project, *command, **hub | environment)


@pytest.fixture
def tutorial(project: Path, server: Loopback, tiny_distilbert: Path, tmp_path: Path) -> Clone:
    """A clone whose catalog has the server's files as those of the tutorial."""
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
    return Clone(project, server, {"download": paths, "pretrained": ["/store/model.safetensors"]})


def read_catalog(project: Path) -> dict[str, Any]:
    catalog = yaml.safe_load((project / "data/catalog.yaml").read_text(encoding="utf-8"))
    assert isinstance(catalog, dict)
    return catalog


def write_catalog(project: Path, catalog: dict[str, Any]) -> None:
    (project / "data/catalog.yaml").write_text(yaml.safe_dump(catalog), encoding="utf-8")


def files_in(folder: Path) -> dict[str, bytes | None]:
    """Return the content of a folder by path, hidden files included; a folder's is None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def the_error(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one error line of a run that failed as it should."""
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return error
