"""The tokenizer of a model: where it is cut, read from its folder and written to another."""

import math
from pathlib import Path

from tokenizers import Tokenizer

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def load_tokenizer(folder: Path, max_length: int) -> Tokenizer:
    """The fast tokenizer of an encoder, set to cut at `max_length` tokens and never to pad.

    Raises:
        UserError: the encoder has no position for that many tokens.
    """
    positions = read_json(folder / "config.json").get("max_position_embeddings")
    longest = read_json(folder / "tokenizer_config.json").get("model_max_length")
    limit = min(number for number in (positions, longest, math.inf) if number)
    if max_length > limit:
        raise UserError(
            f"tokenize.max_length is {max_length}: this encoder reads at most {limit} tokens"
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # A published tokenizer may bring a length and a padding of its own (all-MiniLM's: 128, fixed).
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def save_tokenizer(encoder: Path, max_length: int, folder: Path) -> None:
    """Write the `TOKENIZER_FILES` of an encoder, so that they cut at `max_length` by themselves."""
    load_tokenizer(encoder, max_length).save(str(folder / "tokenizer.json"))
    config = read_json(encoder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"model_max_length": max_length})
