"""Encoders of DistilBERT's architecture with random weights."""

import shutil
from pathlib import Path

from transformers import DistilBertConfig, DistilBertModel

from ordinal.common.files import read_json
from ordinal.tokenization.tokenizer import TOKENIZER_FILES


def save_shape(encoder: Path, folder: Path, **changes: int) -> None:
    """Save an encoder of DistilBERT's shape, with random weights and another one's tokenizer."""
    vocabulary = read_json(encoder / "config.json")["vocab_size"]
    DistilBertModel(DistilBertConfig(vocab_size=vocabulary, **changes)).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(encoder / name, folder)
