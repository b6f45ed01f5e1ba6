"""Uploads to the model hub, whole or not at all; a local server replaces the hub."""

import base64
import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from ordinal.common.files import read_json, sha256
from tests.conftest import run_in
from tests.loopback import Answer, Loopback, serving

FILES = {
    "calibration.json",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}
VALIDATE = "/api/validate-yaml"
CREATE = "/api/repos/create"
PREUPLOAD = "/api/models/me/stars/preupload/main"
BATCH = "/me/stars.git/info/lfs/objects/batch"
STORE = "/store/weights"
COMMIT = "/api/models/me/stars/commit/main"

Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def hub(finished_project: Path) -> Iterator[Loopback]:
    """A server that accepts uploads to me/stars, weights separately, as the hub does."""
    weights = finished_project / "models/ordinal/model.safetensors"
    modes = [
        {
            "path": name,
            "uploadMode": "lfs" if name.endswith(".safetensors") else "regular",
            "shouldIgnore": False,
        }
        for name in {*FILES, "README.md"}
    ]
    with serving() as server:
        objects = [
            {
                "oid": sha256(weights),
                "size": weights.stat().st_size,
                "actions": {"upload": {"href": server.url + STORE}},
            }
        ]
        for path, answer in {
            VALIDATE: {"errors": [], "warnings": []},
            CREATE: {"url": f"{server.url}/me/stars"},
            PREUPLOAD: {"files": modes},
            BATCH: {"transfer": "basic", "objects": objects},
            STORE: {},
            COMMIT: {"commitUrl": f"{server.url}/me/stars/commit/1", "commitOid": "1" * 40},
        }.items():
            server.answer(path, as_json(answer))
        yield server


@pytest.fixture
def push(finished_project: Path, hub: Loopback, tmp_path: Path) -> Push:
    def run(
        *options: str, repository: str = "me/stars", **changes: str
    ) -> subprocess.CompletedProcess[str]:
        settings = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": "hf_secret",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        command = ("ordinal", "push-to-hub", repository, *options)
        return run_in(finished_project, *command, **settings | changes)

    return run


def as_json(content: object, status: int = 200) -> Answer:
    headers = {"Content-Type": "application/json"}
    return Answer(status, json.dumps(content).encode(), headers)


def uploaded(hub: Loopback) -> dict[str, bytes]:
    """Return the files of the commit that the hub received, by name."""
    files = {}
    for line in hub.received[COMMIT].splitlines():
        operation = json.loads(line)
        value = operation["value"]
        if operation["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif operation["key"] == "lfsFile":
            files[value["path"]] = hub.received[STORE]
    return files


def test_the_folder_and_the_card_are_uploaded_in_one_commit(
    finished_project: Path, hub: Loopback, push: Push
) -> None:
    folder = finished_project / "models/ordinal"
    (folder / "notes.txt").write_text("not for others")
    run = push()
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{hub.url}/me/stars\n"
    files = uploaded(hub)
    readme = files.pop("README.md").decode()
    assert files == {name: (folder / name).read_bytes() for name in FILES}
    assert hub.asked.index(VALIDATE) < hub.asked.index(CREATE)
    assert hub.asked.count(COMMIT) == 1
    assert b"private" not in hub.received[CREATE]

    # The card is that of the run, and its examples download the model from the hub.
    results = ModelCard(readme).data.eval_results
    measured = read_json(finished_project / "metrics/details.json")["test"]
    assert {result.metric_type: result.metric_value for result in results} == {
        name: value for name, value in measured.items() if value is not None
    }
    assert readme.count('folder = snapshot_download("me/stars")') == 2
    assert "models/ordinal" not in readme


def test_a_repository_can_be_private(hub: Loopback, push: Push) -> None:
    assert push("--private").returncode == 0
    assert json.loads(hub.received[CREATE])["visibility"] == "private"


def test_the_model_of_a_commit_is_uploaded_with_the_card_of_that_commit(
    finished_project: Path, hub: Loopback, push: Push
) -> None:
    folder = finished_project / "models/ordinal"
    expected = {name: (folder / name).read_bytes() for name in FILES}
    card = finished_project / "metrics/model_card.md"
    title = card.read_text().split("\n# ")[1].splitlines()[0]
    shutil.rmtree(folder)
    card.unlink()
    run = push("--model", "HEAD")
    assert run.returncode == 0, run.stderr
    files = uploaded(hub)
    assert f"# {title}\n" in files.pop("README.md").decode()
    assert files == expected


@pytest.mark.parametrize(
    ("path", "answer", "complaint"),
    [
        (VALIDATE, Answer(400, b'{"errors": ["tags is no list"]}'), "is not valid, so nothing"),
        (VALIDATE, Answer(500), "the model hub refuses me/stars"),
        (CREATE, Answer(401), "use a token with write access"),
        (CREATE, Answer(403), "use a token with write access"),
    ],
)
def test_a_refusal_of_the_hub_is_reported_and_nothing_is_uploaded(
    hub: Loopback, push: Push, path: str, answer: Answer, complaint: str
) -> None:
    hub.answer(path, answer)
    assert_refused(push(), hub, complaint)


def test_without_a_token_there_is_no_request(hub: Loopback, push: Push) -> None:
    assert_refused(push(HF_TOKEN=""), hub, "run `hf auth login`, or set HF_TOKEN")
    assert hub.asked == []


def test_without_a_network_the_error_says_so(hub: Loopback, push: Push) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert_refused(push(HF_ENDPOINT=nobody), hub, f"{nobody} can't be reached")
    assert_refused(push(HF_HUB_OFFLINE="1"), hub, "can't be reached")


def test_an_invalid_repository_name_is_refused(hub: Loopback, push: Push) -> None:
    run = push(repository="me/my stars")
    assert_refused(run, hub, "'me/my stars' is not a valid name")


def test_a_card_of_another_model_is_not_uploaded(
    finished_project: Path, hub: Loopback, push: Push
) -> None:
    card = finished_project / "metrics/model_card.md"
    weights = finished_project / "models/ordinal/model.safetensors"
    card.write_text(card.read_text().replace(sha256(weights), "0" * 64))
    assert_refused(push(), hub, "the model card is not of the model in models/ordinal")
    card.unlink()
    assert_refused(push(), hub, "metrics/model_card.md is missing: run `make repro` first")
    weights.unlink()
    assert_refused(push(), hub, "run `make repro`")


def assert_refused(run: subprocess.CompletedProcess[str], hub: Loopback, complaint: str) -> None:
    assert run.returncode == 1
    assert complaint in run.stderr
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert "hf_secret" not in run.stderr
    assert not {PREUPLOAD, BATCH, STORE, COMMIT} & set(hub.asked)
