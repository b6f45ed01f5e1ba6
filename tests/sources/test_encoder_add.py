"""`ordinal encoder add`: each family in its published form, from the hub to predictions."""

import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
from dvc.utils.hydra import apply_overrides
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModel, PreTrainedModel

from ordinal import load
from ordinal.common.files import read_json, sha256, write_json
from ordinal.common.params import Model as ModelSection
from ordinal.common.params import Train
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.prediction.onnx import export_onnx
from ordinal.sources.catalog import load_catalog
from ordinal.sources.pickles import read_pickles
from ordinal.tokenization.tokenizer import load_tokenizer, save_tokenizer
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit
from tests.conftest import git, run_as_shown, run_in, set_params
from tests.families import FAMILIES, save_family
from tests.hub import COMMIT, Model
from tests.loopback import Loopback
from tests.own_data.test_elsewhere import shell_commands
from tests.published import FORMS, save_published
from tests.sources.conftest import files_in, read_catalog, the_error
from tests.tiny import scores_of

TEXTS = ("the room was good", "awful, poor 12!", "ＧＯＯＤ  staff É", "superb bed")
RECIPE = Train(loss="emd", epochs=1, batch_size=4, lr=0.01, layer_decay=0.5, accelerator="cpu")


def publish(server: Loopback, folder: Path, name: str = "someone/Tiny-1.0") -> None:
    """Serve a folder's files as a model of the hub."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    Model(server, name, card={"license": "mit"}).publish(files, COMMIT)


def add(place: Path, *arguments: str) -> dict[str, Any]:
    """Run `ordinal encoder add`, and return the entry."""
    run = run_in(place, "ordinal", "encoder", "add", *arguments)
    assert run.returncode == 0, run.stderr
    entry: dict[str, Any] = next(iter(read_catalog(place)["encoders"].values()))
    return entry


@pytest.mark.parametrize(
    "family",
    [
        family if family == "deberta-v2" else pytest.param(family, marks=pytest.mark.slow)
        for family in FORMS
    ],
)
def test_each_family_is_added_trained_exported_and_used(
    family: str, place: Path, online: Loopback, tmp_path: Path
) -> None:
    published = tmp_path / "published"
    published.mkdir()
    original = save_published(family, published)
    publish(online, published)
    entry = add(place, "someone/Tiny-1.0")
    converted = (place / "data/encoders/tiny-1-0").is_dir()
    assert converted == (family not in ("distilbert", "modernbert"))
    source = {"folder": "data/encoders/tiny-1-0"}
    hub = {"hub": "someone/Tiny-1.0", "revision": COMMIT}
    assert entry["sources"] == [source if converted else hub]
    assert entry["licence"] == "mit"
    assert entry["parameters"] == sum(weight.numel() for weight in original.parameters())
    assert entry.get("max_length") == FAMILIES[family].usable

    set_params(place, {"model.name": "tiny-1-0"})
    run = run_in(place, "python", "-m", "stages.pretrained")
    assert run.returncode == 0, run.stderr
    encoder = place / "data/pretrained"
    assert_same_states(original, encoder)
    assert_same_tokens(published, encoder)
    use(encoder, tmp_path / "model")


def assert_same_states(original: PreTrainedModel, encoder: Path) -> None:
    """The hidden states are those of the model in memory that was published."""
    ids = torch.tensor([[0, 7, 11, 12, 2]])
    with torch.no_grad():
        one, other = (
            model(input_ids=ids).last_hidden_state
            for model in (original, AutoModel.from_pretrained(encoder, dtype=torch.float32))
        )
    assert float((one - other).abs().max()) < 1e-6


def assert_same_tokens(published: Path, encoder: Path) -> None:
    """A tokenizer that was a SentencePiece model reads texts as that model does."""
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    for path in published.glob("*.model"):
        oracle = sentencepiece.SentencePieceProcessor(model_file=str(path))
        for text in TEXTS:
            # ALBERT's lower-cases, and removes accents.
            plain = text.replace("É", "e").lower() if path.name == "spiece.model" else text
            pieces = map(oracle.id_to_piece, oracle.encode(plain))
            found = tokenizer.encode(text, add_special_tokens=False)
            assert found.ids == [tokenizer.token_to_id(piece) for piece in pieces], text


def use(encoder: Path, folder: Path) -> None:
    """Train a step, save, export and predict."""
    tokenizer = load_tokenizer(encoder, 20)
    tokens = Tokens.of([tokenizer.encode(text).ids for text in TEXTS])
    rows = Tokens(tokens.ids, tokens.offsets, np.array([0, 1, 2, 0]))
    model = new_classifier(encoder, ["poor", "fair", "good"], "emd")
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    fit(model, rows, rows, RECIPE)
    moved = [
        name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])
    ]
    assert len(moved) > 0.6 * len(before)
    (folder.parent / "tokenizer").mkdir()
    save_tokenizer(encoder, 20, folder.parent / "tokenizer")
    calibration = Calibration(1.3, scores_of([0.5] * 20, 3))
    with torch.no_grad():  # a network that saw four texts predicts nearly the same for every text
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=1.5 / weight.shape[-1] ** 0.5)
    save_classifier(model, calibration, folder.parent / "tokenizer", "card", folder)
    export_onnx(folder, folder / "model.onnx")
    texts = [*TEXTS, "they wrote </s> on the <pad> wall </s>", "<mask>", "staff " * 100]
    one, other = (
        [[*prediction.probabilities.values()] for prediction in load(path).predict(texts)]
        for path in (folder, folder / "model.onnx")
    )
    assert np.ptp(one, axis=0).max() > 0.05
    np.testing.assert_allclose(one, other, atol=1e-5)


def bert(folder: Path) -> Path:
    folder.mkdir()
    save_published("bert", folder)
    return folder


def refused(place: Path, *arguments: str) -> str:
    """Return the error of an encoder that is refused, which leaves nothing behind."""
    before = files_in(place)
    error = the_error(run_in(place, "ordinal", "encoder", "add", *arguments))
    assert files_in(place) == before
    return error


def test_a_local_folder_is_copied_and_pinned(place: Path, tmp_path: Path) -> None:
    folder = save_family("distilbert", tmp_path / "Mine")
    entry = add(place, str(folder), "--name", "mine", "--licence", "MIT")
    assert entry["sources"] == [{"folder": "data/encoders/mine"}]
    assert entry["licence"] == "MIT"
    for file, checksum in entry["files"].items():
        assert checksum == f"sha256:{sha256(folder / file)}"
        assert (place / "data/encoders/mine" / file).read_bytes() == (folder / file).read_bytes()


def test_a_folder_that_another_machine_lacks_or_changed_is_refused(
    place: Path, tmp_path: Path
) -> None:
    add(place, str(save_family("distilbert", tmp_path / "mine")))
    set_params(place, {"model.name": "mine"})
    (place / "data/encoders/mine/config.json").write_text("{}")
    error = the_error(run_in(place, "python", "-m", "stages.pretrained"))
    assert "folder data/encoders/mine: config.json: checksum mismatch" in error
    shutil.rmtree(place / "data/encoders/mine")
    error = the_error(run_in(place, "python", "-m", "stages.pretrained"))
    assert "folder data/encoders/mine: it is missing): run `dvc pull data/encoders/mine`" in error


class Evil:
    """A pickle that creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["torch", "protocol 2", "protocol 4", "nested"])
def test_a_pickle_that_would_run_code_is_refused(form: str, place: Path, tmp_path: Path) -> None:
    folder, trap = bert(tmp_path / "evil"), tmp_path / "trap"
    weights: Any = torch.load(folder / "pytorch_model.bin", weights_only=True)
    if form.startswith("protocol"):
        content = pickle.dumps(Evil(trap), protocol=int(form[-1]))
        (folder / "pytorch_model.bin").write_bytes(content)
    else:
        evil = weights | {"x": Evil(trap)} if form == "nested" else Evil(trap)
        torch.save(evil, folder / "pytorch_model.bin")
    error = refused(place, str(folder))
    calls = "contains more than weights" if form == "protocol 4" else "calls posix.mkdir"
    assert f"pytorch_model.bin is damaged, or a pickle that {calls}, and no code of an" in error
    assert not trap.exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("pytorch_model.bin", b"no pickle", "its pytorch_model.bin is damaged, or a pickle that"),
        ("pytorch_model.bin", b"", "its pytorch_model.bin is damaged"),
        ("config.json", b"{", "its config.json is not JSON"),
        ("config.json", b"[]", "its config.json is not a JSON object"),
        ("config.json", b'{"model_type": "x"}', "its config.json can't be loaded: The checkpoint"),
        ("config.json", b'{"model_type": "clip"}', "has no classifier of its architecture (clip)"),
        (
            "config.json",
            b'{"model_type": "bert", "auto_map": {}}',
            "its config.json requires custom code (auto_map), which is never run",
        ),
        (
            "tokenizer_config.json",
            b'{"auto_map": {"AutoTokenizer": ["tokenization.py", null]}}',
            "its tokenizer_config.json requires custom code (auto_map), which is never run",
        ),
        ("tokenizer.json", b"{}", "its tokenizer.json is damaged"),
        ("model.safetensors", b"{}", "its model.safetensors is damaged"),
        ("pytorch_model.bin", None, "has no weights for torch: neither model.safetensors nor"),
        ("config.json", None, "lacks config.json"),
    ],
)
def test_a_damaged_encoder_is_refused(
    file: str, content: bytes | None, message: str, place: Path, tmp_path: Path
) -> None:
    folder = bert(tmp_path / "mine")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    assert message in refused(place, str(folder))


def test_an_encoder_without_a_vocabulary_is_refused(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    save_published("gpt2", folder)
    (folder / "merges.txt").unlink()
    assert "can't be used: it has no tokenizer: add tokenizer.json" in refused(place, str(folder))


def test_an_existing_folder_is_kept(place: Path) -> None:
    folder = place / "data/encoders/mine"
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    assert "data/encoders/mine exists already" in refused(place, "data/encoders/mine")
    assert (folder / "notes.txt").exists()


def test_the_end_token_of_the_config_pads(place: Path, tmp_path: Path) -> None:
    """In this form GPT-2 is on the hub."""
    folder = tmp_path / "mine"
    folder.mkdir()
    save_published("gpt2", folder)
    add(place, str(folder))
    done = place / "data/encoders/mine"
    config = read_json(done / "config.json")
    write_json(done / "config.json", config | {"pad_token_id": None})
    write_json(done / "tokenizer_config.json", {"model_max_length": 64})
    done.rename(tmp_path / "hub-form")
    add(place, str(tmp_path / "hub-form"))
    found = read_json(place / "data/encoders/hub-form/config.json")
    assert found["pad_token_id"] == config["eos_token_id"]


def test_weights_of_another_model_are_refused(place: Path, tmp_path: Path) -> None:
    folder = bert(tmp_path / "mine")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    torch.save({f"other.{name}": weight for name, weight in weights.items()}, folder / "a.bin")
    (folder / "a.bin").rename(folder / "pytorch_model.bin")
    assert "its weights lack embeddings.LayerNorm.bias" in refused(place, str(folder))


def test_a_conversion_that_changes_the_hidden_states_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounded(folder: Path) -> dict[str, torch.Tensor]:
        return {name: weight.half().float() for name, weight in read_pickles(folder).items()}

    monkeypatch.setattr("ordinal.model.conversion.read_pickles", rounded)
    error = refused(place, str(bert(tmp_path / "mine")))
    assert "its hidden states differ by 0.000" in error


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    folder = bert(tmp_path / "mine")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    words = weights["embeddings.word_embeddings.weight"]
    part = {"cls.predictions.decoder.weight": words, "view": words[:3], "empty": torch.empty(0)}
    torch.save(weights | part, folder / "pytorch_model.bin")
    found = read_pickles(folder)
    assert set(found) == set(weights) | {"view", "empty"}
    assert torch.equal(found["view"], words[:3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such-folder",), "is neither a folder nor a name on the model hub, OWNER/NAME"),
        (("someone/tiny", "--name", "minilm"), "already has 'minilm': choose another name with"),
        (("someone/tiny", "--name", "a b"), "--name a b: use a letter, then letters"),
        (("someone/tiny",), "(the hub has no such model, or it is private): check the name"),
        (("someone/Tiny-1.0", "--revision", "v2"), "it has no commit, branch or tag v2): set --r"),
    ],
)
def test_a_wrong_name_is_refused(
    arguments: tuple[str, ...], message: str, place: Path, online: Loopback, tmp_path: Path
) -> None:
    publish(online, save_family("distilbert", tmp_path / "mine"))
    assert message in refused(place, *arguments)


def test_a_folder_has_no_revision(place: Path, tmp_path: Path) -> None:
    folder = str(save_family("distilbert", tmp_path / "mine"))
    assert "which has no commits: leave out --revision" in refused(
        place, folder, "--revision", COMMIT
    )


def test_a_branch_is_pinned_to_its_commit(place: Path, online: Loopback, tmp_path: Path) -> None:
    folder = save_family("distilbert", tmp_path / "mine")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    Model(online, "someone/tiny").publish(files, COMMIT, "main")
    entry = add(place, "someone/tiny", "--revision", "main")
    assert entry["sources"] == [{"hub": "someone/tiny", "revision": COMMIT}]
    assert entry["licence"] == "not stated"


def test_an_encoder_without_padding_and_end_tokens_is_refused(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    save_published("gpt2", folder)
    settings = dict.fromkeys(("bos_token", "eos_token", "unk_token"))
    write_json(folder / "tokenizer_config.json", settings)
    (folder / "config.json").write_text(
        (folder / "config.json").read_text().replace('"eos_token_id": 0', '"eos_token_id": null')
    )
    error = refused(place, str(folder))
    assert "has no pad_token_id, and its tokenizer neither a padding nor an end token" in error


def test_settings_of_a_tokenizer_are_written_if_it_has_none(place: Path, tmp_path: Path) -> None:
    folder = save_family("distilbert", tmp_path / "mine")
    roles = read_json(folder / "tokenizer_config.json")
    (folder / "tokenizer_config.json").unlink()
    write_json(folder / "special_tokens_map.json", {"eos_token": roles["eos_token"]})
    add(place, str(folder))
    written = read_json(place / "data/encoders/mine/tokenizer_config.json")
    assert written == {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    weights = load_file(place / "data/encoders/mine/model.safetensors")
    assert weights.keys() == load_file(folder / "model.safetensors").keys()


def test_another_machine_has_a_converted_encoder_from_dvc(project: Path, tmp_path: Path) -> None:
    folder = bert(tmp_path / "mine")
    add(project, str(folder))
    set_params(project, {"model.name": "mine"})
    run_as_shown(project, "dvc add --quiet data/encoders/mine")
    git(project, "add --all", "commit --quiet -m Encoder")
    git(tmp_path, "clone --quiet project other")
    other = tmp_path / "other"
    # A cache has the layout of a remote.
    remote = f"[core]\nremote = r\n['remote \"r\"']\nurl = {project}/.dvc/cache\n"
    (other / ".dvc/config.local").write_text(remote)
    run_as_shown(other, "dvc pull --quiet data/encoders/mine")
    run_as_shown(other, "dvc repro --quiet pretrained")
    assert files_in(other / "data/pretrained") == files_in(project / "data/encoders/mine")


def test_the_commands_of_the_reference(place: Path, online: Loopback, tmp_path: Path) -> None:
    (tmp_path / "published").mkdir()
    save_published("deberta-v2", tmp_path / "published")
    first, second = shell_commands("Encoders")
    *_, name = first.split()
    publish(online, tmp_path / "published", name)
    run_as_shown(place, first)
    [override] = re.findall(r"^dvc exp run -S (\S+)$", second)
    apply_overrides(place / "params.yaml", [override])
    chosen = ModelSection.load(place / "params.yaml").name
    encoder = load_catalog(place / "data/catalog.yaml").encoders[chosen]
    assert encoder.origin == f"{name} at commit {COMMIT}, converted"
