"""Convert the tokenizer of an encoder to tokenizer.json and tokenizer_config.json."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS

from ordinal.common.files import write_json
from ordinal.model.published import loading
from ordinal.sources.encoder_files import read_object
from ordinal.tokenization.tokenizer import TOKENIZER_FILES

FILE, SETTINGS = TOKENIZER_FILES
NO_LIMIT = 10**9  # transformers writes a larger number for a tokenizer without a maximum length


def convert_tokenizer(source: Path, target: Path) -> Iterator[str]:
    """Write the tokenizer's two files to `target`, and yield what had to be changed.

    Raises:
        ValueError: the tokenizer can't be loaded, or can't be written as tokenizer.json.
    """
    if (source / SETTINGS).is_file():
        read_object(source / SETTINGS)
    if (source / FILE).is_file():
        shutil.copyfile(source / FILE, target / FILE)
        if (source / SETTINGS).is_file():
            shutil.copyfile(source / SETTINGS, target / SETTINGS)
            return
        write_json(target / SETTINGS, _settings(_roles(source)))
        yield f"{SETTINGS} written"
        return
    _refuse_missing_vocabulary(source)
    if any(source.glob("*.model")) and not importlib.util.find_spec("sentencepiece"):
        raise ValueError(
            "its tokenizer is a SentencePiece model: install the extra `encoders` to convert it"
        )
    tokenizer, loaded = _load(source)
    tokenizer.save(str(target / FILE))
    roles = {key: str(value) for key, value in loaded.special_tokens_map.items()}
    write_json(target / SETTINGS, _settings(roles, loaded.model_max_length))
    yield f"tokenizer saved as {FILE}"


def _refuse_missing_vocabulary(source: Path) -> None:
    """Without a vocabulary, transformers would make a tokenizer that knows no word."""
    pieces = [source / "vocab.json", source / "merges.txt"]
    if not (
        (source / "vocab.txt").is_file()
        or all(path.is_file() for path in pieces)
        or any(source.glob("*.model"))
    ):
        raise ValueError(
            "it has no tokenizer: add tokenizer.json, vocab.txt, vocab.json with merges.txt, or a "
            "SentencePiece model"
        )


def _settings(roles: dict[str, Any], max_length: float = NO_LIMIT) -> dict[str, Any]:
    # Other classes of transformers would build the tokenizer again, from the vocabulary alone.
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings |= {key: value for key, value in roles.items() if key.endswith("_token")}
    return settings | ({"model_max_length": int(max_length)} if max_length < NO_LIMIT else {})


def _roles(source: Path) -> dict[str, Any]:
    path = source / "special_tokens_map.json"
    return read_object(path) if path.is_file() else {}


def _load(source: Path) -> tuple[Tokenizer, Any]:
    """Load the tokenizer from its vocabulary, with all rules of its SentencePiece model."""
    with loading("its tokenizer"):
        loaded = AutoTokenizer.from_pretrained(
            source, local_files_only=True, trust_remote_code=False
        )
    tokenizer: Tokenizer | None = getattr(loaded, "backend_tokenizer", None)
    if tokenizer is None:
        raise ValueError(
            f"its tokenizer ({type(loaded).__name__}) can't be written as {FILE}: choose an "
            "encoder that has one"
        )
    converter = SLOW_TO_FAST_CONVERTERS.get(type(loaded).__name__)
    models = sorted(source.glob("*.model"))
    # transformers 5.23 leaves out DeBERTa's table of equivalent characters, such as full-width
    # letters, with which the encoder was trained.
    if models and converter and "Precompiled" not in repr(tokenizer.normalizer):
        loaded.vocab_file = str(models[0])
        tokenizer.normalizer = converter(loaded).converted().normalizer
    return tokenizer, loaded
