"""Texts that are too long keep their head, or their head and tail, in training and prediction."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer

from ordinal import Predictor, load
from ordinal.common.files import read_json, write_json
from ordinal.common.types import Padded, Probabilities
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.prediction.onnx import FACTS, export_onnx
from ordinal.prediction.server import create_app
from ordinal.tokenization.tokenizer import load_tokenizer, load_truncation, save_tokenizer
from ordinal.tokenization.tokens import Tokens, tokenize
from ordinal.tokenization.truncation import truncated_ids
from tests.families import save_family
from tests.tiny import scores_of
from tests.tokenization.test_tokenizer import KINDS, published, save_published

FRAMES = {
    "<s> $A </s>": (1, 1),
    "<s> <s> $A </s>": (2, 1),
    "$A </s>": (0, 1),
    "<s> $A": (1, 0),
    "$A": (0, 0),
}
TEXTS = ["good room", "the staff was awful but the bed was good " * 4, "superb " * 3, "bed " * 19]


def head_and_tail(ids: list[int], length: int, before: int, after: int) -> list[int]:
    """The same as `truncated_ids`, as a plain loop over the tokens of the whole text."""
    if len(ids) <= length:
        return ids
    kept = []
    first, last = before, len(ids) - after
    for position, token in enumerate(ids):
        framing = position < first or position >= last
        in_head = position - first < length // 4
        in_tail = last - position <= length - before - after - length // 4
        if framing or in_head or in_tail:
            kept.append(token)
    return kept


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_head_and_tail_are_those_of_a_plain_loop(kind: Callable[[], Tokenizer], frame: str) -> None:
    tokenizer = published(kind)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    texts = [("a bad bed was a note " * 3)[:size] for size in range(0, 60, 3)]
    whole = [tokenizer.encode(text).ids for text in texts]
    for length in (4, 7, 8, 16):
        tokenizer.enable_truncation(length)
        encodings = tokenizer.encode_batch_fast(texts)
        expected = [head_and_tail(ids, length, *FRAMES[frame]) for ids in whole]
        assert [truncated_ids(encoding, "head_tail") for encoding in encodings] == expected
        heads = [truncated_ids(encoding, "head") for encoding in encodings]
        assert heads == [encoding.ids for encoding in encodings]
        assert (heads == expected) == (length == 4 and frame == "<s> <s> $A </s>")  # room for 1


def test_of_512_tokens_the_first_128_and_the_last_382_are_kept(tiny_encoder: Path) -> None:
    """As in Sun et al. 2019."""
    tokenizer = load_tokenizer(tiny_encoder, 64)
    tokenizer.enable_truncation(512)
    text = " ".join(map(str, range(10_000, 11_000)))
    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    ids = whole.encode(text).ids
    [encoding] = tokenizer.encode_batch_fast([text])
    assert truncated_ids(encoding, "head_tail") == [*ids[:129], *ids[-383:]]


@pytest.fixture(scope="module", params=["bert", "bart", "gpt2", "t5", "xlm-roberta"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained model with `head_tail`, its tokenized texts in it."""
    root = tmp_path_factory.mktemp(request.param)
    for name in ("encoder", "tokenized"):
        (root / name).mkdir()
    encoder = save_family(request.param, root / "encoder")
    save_tokenizer(encoder, 12, root / "tokenized", "head_tail")
    labels = ["poor", "fair", "good"]
    classifier = new_classifier(encoder, labels, "emd")
    calibration = Calibration(1.0, scores_of([0.5] * 20, len(labels)))
    save_classifier(classifier, calibration, root / "tokenized", "", root / "model")
    reviews = pa.table({"text": TEXTS, "label": pa.array([0, 1, 2, 0], pa.int32())})
    pq.write_table(reviews, root / "reviews.parquet")
    counts = tokenize(
        root / "reviews.parquet", load_tokenizer(encoder, 12), root / "train.arrow", "head_tail"
    )
    assert (counts["cut"], counts["longest"]) == (2, 12)
    return root


def tokens_read(predictor: Predictor) -> tuple[Predictor, list[list[int]]]:
    """Return the predictor, and a list that gains the tokens that its network reads."""
    read: list[list[int]] = []

    def distributions(ids: Padded, mask: Padded) -> Probabilities:
        read.extend(row[present > 0].tolist() for row, present in zip(ids, mask, strict=True))
        return np.full((len(ids), 3), 1 / 3, np.float32)

    network = dataclasses.replace(predictor.network, distributions=distributions)
    return dataclasses.replace(predictor, network=network), read


def trained_on(root: Path) -> list[list[int]]:
    tokens = Tokens.load(root / "train.arrow")
    return [row.tolist() for row in np.split(tokens.ids, tokens.offsets[1:-1])]


def test_predictions_and_the_server_read_the_tokens_of_the_training(model: Path) -> None:
    trained = trained_on(model)
    assert max(map(len, trained)) == 12
    predictor, read = tokens_read(load(model / "model"))
    predictor.predict(TEXTS)
    assert sorted(read) == sorted(trained)
    read.clear()
    with TestClient(create_app(predictor), "http://127.0.0.1:8000") as client:
        assert client.post("/predict", json={"texts": TEXTS}).status_code == 200
    assert sorted(read) == sorted(trained)


def test_plain_transformers_loads_the_tokenizer_and_reads_the_head(model: Path) -> None:
    plain = AutoTokenizer.from_pretrained(model / "model")
    heads = load_tokenizer(model / "encoder", 12).encode_batch_fast(TEXTS)
    read = plain(TEXTS, truncation=True)["input_ids"]
    assert read == [encoding.ids for encoding in heads]
    assert read != trained_on(model)


def test_an_onnx_file_reads_the_tokens_of_the_training(tiny_encoder: Path, tmp_path: Path) -> None:
    for truncation in ("head", "head_tail"):
        tokenizer = tmp_path / truncation
        tokenizer.mkdir()
        save_tokenizer(tiny_encoder, 12, tokenizer, truncation)
        folder, file = tmp_path / "model", tmp_path / "model.onnx"
        classifier = new_classifier(tiny_encoder, ["poor", "fair", "good"], "emd")
        save_classifier(
            classifier, Calibration(1.0, scores_of([0.5] * 20, 3)), tokenizer, "", folder
        )
        export_onnx(folder, file)
        of_file, of_folder = tokens_read(load(file)), tokens_read(load(folder))
        for predictor, _ in (of_file, of_folder):
            predictor.predict(TEXTS)
        assert of_file[1] == of_folder[1]
        assert load(file).truncation == truncation
    # Files of earlier versions have no such entry.
    content = onnx.load(file)
    facts = json.loads(content.metadata_props[0].value)
    del facts["truncation"]
    onnx.helper.set_model_props(content, {FACTS: json.dumps(facts)})
    onnx.save(content, file)
    assert load(file).truncation == "head"


def test_only_head_tail_changes_the_files_of_the_tokenizer(tmp_path: Path) -> None:
    """A model that was trained with it can be the encoder of one that is not."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    save_published(published(KINDS[0]), tmp_path)
    save_tokenizer(tmp_path, 16, first, "head_tail")
    assert load_truncation(first) == "head_tail"
    write_json(first / "config.json", read_json(tmp_path / "config.json"))
    save_tokenizer(first, 16, second)
    assert load_truncation(second) == "head"
    settings = read_json(first / "tokenizer_config.json")
    assert settings.pop("ordinal") == {"truncation": "head_tail"}
    assert read_json(second / "tokenizer_config.json") == settings
