"""Convert an encoder to the files that the pipeline reads: safetensors and tokenizer.json."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer
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
    plain = read_object(source / CONFIG)
    token, number = _padding(target, plain.get("eos_token_id"))
    write_json(target / CONFIG, plain | {"pad_token_id": number})
    yield f"{CONFIG}: pad_token_id set to {number}, the id of {token}"


def _padding(folder: Path, end: int | None) -> tuple[str, int]:
    """Return the token that can pad texts, and its id.

    Args:
        folder: folder of the tokenizer.
        end: the id of the end token in the config, which may be the only place that has it.
    """
    settings = read_json(folder / "tokenizer_config.json")
    added = _added_tokens(folder / "tokenizer.json")
    for role in PADDING_ROLES:
        token = settings.get(role)
        name = token.get("content") if isinstance(token, dict) else token
        if name in added:
            return str(name), added[name]
    for name, number in added.items():
        if number == end:
            return name, number
    raise ValueError(
        f"its {CONFIG} has no pad_token_id, and its tokenizer neither a padding nor an end token: "
        f"add the id of a token that pads short texts to a copy of its {CONFIG}"
    )


def _added_tokens(path: Path) -> dict[str, int]:
    """Return the special tokens of a tokenizer and their ids."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers has no error classes of its own
        raise ValueError(f"its {path.name} is damaged") from error
    return {token.content: id_ for id_, token in tokenizer.get_added_tokens_decoder().items()}
