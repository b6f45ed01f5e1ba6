"""The tokenizer of an encoder: loaded with a maximum length, and copied to a model's folder."""

import math
from pathlib import Path

from tokenizers import Tokenizer

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.tokenization.length import usable_length

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def load_tokenizer(folder: Path, max_length: int) -> Tokenizer:
    """Load the fast tokenizer of an encoder, which truncates at `max_length` and never pads.

    Raises:
        UserError: the encoder reads fewer tokens than `max_length`.
    """
    config, settings = (read_json(folder / f"{name}config.json") for name in ("", "tokenizer_"))
    limit = min(usable_length(config), settings.get("model_max_length") or math.inf)
    if max_length > limit:
        raise UserError(
            f"tokenize.max_length is {max_length}, but this encoder reads at most {limit} tokens: "
            "lower it in params.yaml"
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # The published file may set its own length and padding (all-MiniLM's: 128 tokens, fixed).
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return tokenizer


def save_tokenizer(encoder: Path, max_length: int, folder: Path) -> None:
    """Write the `TOKENIZER_FILES` of an encoder, changed so that they truncate at `max_length`."""
    load_tokenizer(encoder, max_length).save(str(folder / "tokenizer.json"))
    config = read_json(encoder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"model_max_length": max_length})
