"""Convert an encoder to the files that the pipeline reads: safetensors and tokenizer.json."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from transformers import PreTrainedConfig

from ordinal.common.files import read_json, write_json
from ordinal.model.published import load_config
from ordinal.model.tokenizer_conversion import convert_tokenizer
from ordinal.sources.encoder_files import CONFIG, read_object
from ordinal.sources.pickles import pickles_of, read_pickles
from ordinal.sources.shards import WEIGHTS

PADDING_ROLES = ("pad_token", "eos_token")


def convert(source: Path, target: Path) -> list[str]:
    """Write the files of an encoder to `target`, and return what had to be changed.

    An encoder that needs no change is copied. No code that comes with it is run.

    Raises:
        ValueError: a file is damaged, would run code, or is of a kind that can't be converted.
    """
    read_object(source / CONFIG)
    config = load_config(source)
    return [
        *_convert_weights(source, target),
        *convert_tokenizer(source, target),
        *_convert_config(config, source, target),
    ]


def _convert_weights(source: Path, target: Path) -> Iterator[str]:
    pickles = pickles_of(source)
    for path in sorted(source.glob("*.safetensors*")):
        pickles = []
        shutil.copyfile(path, target / path.name)
    if pickles:
        from safetensors.torch import save_file

        save_file(read_pickles(source), target / WEIGHTS, {"format": "pt"})
        yield f"weights of {', '.join(pickles)} saved as {WEIGHTS}"


def _convert_config(config: PreTrainedConfig, source: Path, target: Path) -> Iterator[str]:
    """Name a padding token in the config if it has none: that of the tokenizer, or its end token.

    A decoder such as GPT-2 has none. Its classifier reads a text at the last token that is not
    padding, and no text contains the end token, so that this token can also pad.
    """
    shutil.copyfile(source / CONFIG, target / CONFIG)
    if getattr(config, "pad_token_id", None) is not None:
        return
    token, number = _padding(target)
    write_json(target / CONFIG, read_object(source / CONFIG) | {"pad_token_id": number})
    yield f"{CONFIG}: pad_token_id set to {number}, the id of {token}"


def _padding(folder: Path) -> tuple[str, int]:
    """Return the token that can pad texts, and its id."""
    settings = read_json(folder / "tokenizer_config.json")
    ids = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = {token["content"]: token["id"] for token in ids["added_tokens"]}
    for role in PADDING_ROLES:
        token = settings.get(role)
        name = token.get("content") if isinstance(token, dict) else token
        if name in added:
            return str(name), int(added[name])
    raise ValueError(
        f"its {CONFIG} has no pad_token_id, and its tokenizer neither a padding nor an end token: "
        f"add the id of a token that pads short texts to a copy of its {CONFIG}"
    )
