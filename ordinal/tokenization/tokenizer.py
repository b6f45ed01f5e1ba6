"""The tokenizer of an encoder: loaded with a maximum length, and copied to a model's folder.

Text never becomes a special token: `[SEP]` or `</s>` in a text is a few characters like any others.
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, pre_tokenizers

from ordinal.common.choices import Truncation
from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.tokenization.length import usable_length

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
# Architectures whose classifiers read a text at its end token. They fail on a text with several.
READ_AT_END = {"bart", "bigbird_pegasus", "mbart", "mt5", "mvp", "plbart", "t5", "umt5"}


def load_tokenizer(folder: Path, max_length: int) -> Tokenizer:
    """Load the fast tokenizer of an encoder, which truncates at `max_length` and never pads.

    Raises:
        UserError: the encoder reads fewer tokens than `max_length`, or its tokenizer does not end
            texts as it needs.
    """
    config, settings = _configs(folder)
    limit = length_limit(folder)
    if max_length > limit:
        raise UserError(
            f"tokenize.max_length is {max_length}, but this encoder reads at most {limit} tokens: "
            "lower it in params.yaml"
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # The published file may set its own length and padding (all-MiniLM's: 128 tokens, fixed).
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    _mark_special(tokenizer, settings)
    read_literally(tokenizer)
    _check_end(tokenizer, config, folder)
    return tokenizer


def length_limit(folder: Path) -> float:
    """Return the most tokens that an encoder and its tokenizer read; infinity if any number."""
    config, settings = _configs(folder)
    return min(usable_length(config), settings.get("model_max_length") or math.inf)


def _configs(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return read_json(folder / "config.json"), read_json(folder / "tokenizer_config.json")


def save_tokenizer(
    encoder: Path, max_length: int, folder: Path, truncation: Truncation = "head"
) -> None:
    """Write the `TOKENIZER_FILES` of an encoder, changed so that they truncate at `max_length`.

    `load_truncation` reads `truncation` from them. Other programs truncate at the head.
    """
    load_tokenizer(encoder, max_length).save(str(folder / "tokenizer.json"))
    settings = read_json(encoder / "tokenizer_config.json") | {"model_max_length": max_length}
    settings.pop("ordinal", None)  # the encoder may be a model of this project
    if truncation != "head":
        settings |= {"ordinal": {"truncation": truncation}}
    changed = read_literally(Tokenizer.from_file(str(encoder / "tokenizer.json")))
    if changed:
        # transformers would ignore the change: it builds other classes from the vocabulary alone.
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast"}
    if changed or read_json(encoder / "config.json").get("model_type") in READ_AT_END:
        settings |= {"split_special_tokens": True}
    write_json(folder / "tokenizer_config.json", settings)


def load_truncation(folder: Path) -> Truncation:
    """Return the truncation that `save_tokenizer` recorded in a folder."""
    settings = read_json(folder / "tokenizer_config.json").get("ordinal", {})
    truncation: Truncation = settings.get("truncation", "head")
    return truncation


def read_literally(tokenizer: Tokenizer) -> bool:
    """Make a tokenizer read the names of its special tokens in a text as ordinary text.

    Returns:
        Whether its pre-tokenizer was changed for that. The rest is no part of tokenizer.json, so
        every tokenizer that is loaded for texts has to come through here.
    """
    tokenizer.encode_special_tokens = True  # as text, despite its name
    names = _special_names(tokenizer)
    if not _is_read_whole(tokenizer, names):
        return False
    # A vocabulary of SentencePiece contains the names. Cut after its first character, none is read.
    by_start = groupby(names, key=itemgetter(0))
    cuts = [
        f"(?<={re.escape(start)})(?={'|'.join(re.escape(name[1:]) for name in group)})"
        for start, group in by_start
    ]
    cut = pre_tokenizers.Split(Regex("|".join(cuts)), "isolated")
    first = tokenizer.pre_tokenizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, cut]) if first else cut
    return True


def _special_names(tokenizer: Tokenizer) -> list[str]:
    added = tokenizer.get_added_tokens_decoder().values()
    frame = tokenizer.encode("")
    framing = zip(frame.tokens, frame.special_tokens_mask, strict=True)
    names = [token.content for token in added if token.special]
    names += [name for name, special in framing if special]
    return sorted({name for name in names if len(name) > 1})


def _is_read_whole(tokenizer: Tokenizer, names: Sequence[str]) -> bool:
    """Return whether a name in a text becomes the token of that name."""
    for name in names:
        for text in (name, f"a{name}b"):
            encoding = tokenizer.encode(text, add_special_tokens=False)
            for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
                if token == name and text[start:end] == name:  # not [UNK] for another word
                    return True
    return False


def _mark_special(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Mark the added tokens with a role, such as `sep_token`, as special if the file does not."""
    roles = [token for key, token in settings.items() if key.endswith("_token")]
    names = [token.get("content") if isinstance(token, dict) else token for token in roles]
    for token in tokenizer.get_added_tokens_decoder().values():
        if token.content in names and not token.special:
            token.special = True
            tokenizer.add_special_tokens([token])


def _check_end(tokenizer: Tokenizer, config: Mapping[str, Any], folder: Path) -> None:
    """Check that each text ends with the token at which a classifier of `READ_AT_END` reads it."""
    kind, end = config.get("model_type"), config.get("eos_token_id")
    if kind not in READ_AT_END or not isinstance(end, int):
        return
    if end == config.get("pad_token_id"):
        raise UserError(
            f"{folder}/config.json: eos_token_id and pad_token_id are both {end}, but a {kind} "
            "classifier reads a text at its only eos token: use another id for padding"
        )
    if tokenizer.encode("").ids.count(end) != 1:
        raise UserError(
            f"{folder}/tokenizer.json does not end a text with eos_token_id {end}, at which a "
            f"{kind} classifier reads it: add this token to its post_processor"
        )
