"""A folder in which the train stage can run, with random reviews of given lengths."""

import shutil
from pathlib import Path

import pyarrow as pa
import yaml

from benchmarks.corpora import LABELS, random_tokens
from benchmarks.growth import ROOT
from ordinal.common.files import read_json, write_json
from ordinal.common.types import Rows
from ordinal.tokenization.tokenizer import TOKENIZER_FILES
from ordinal.tokenization.tokens import SCHEMA, Tokens


def new_training(
    folder: Path, encoder: Path, train: Rows, validation: Rows, **recipe: object
) -> None:
    """Write what the train stage reads.

    Args:
        folder: an empty folder.
        encoder: folder of the encoder and its tokenizer.
        train: tokens of each training row.
        validation: tokens of each validation row.
        recipe: parameters of the training that differ from params.yaml.
    """
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] |= recipe
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "data/raw").mkdir(parents=True)
    facts = {"labels": LABELS, "name": "random", "synthetic": True, "origin": "", "licence": ""}
    write_json(folder / "data/raw/facts.json", facts)
    (folder / "data/pretrained").symlink_to(encoder.resolve())
    (folder / "data/tokenized").mkdir()
    for name in TOKENIZER_FILES:
        shutil.copy(encoder / name, folder / "data/tokenized")
    vocabulary = read_json(encoder / "config.json")["vocab_size"]
    for part, lengths in (("train", train), ("validation", validation)):
        _write(folder / f"data/tokenized/{part}.arrow", random_tokens(lengths, vocabulary))


def _write(path: Path, tokens: Tokens) -> None:
    ids = pa.LargeListArray.from_arrays(tokens.offsets, tokens.ids)
    labels = pa.array(tokens.labels, pa.int32())
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        writer.write_batch(pa.record_batch([ids, labels], SCHEMA))
