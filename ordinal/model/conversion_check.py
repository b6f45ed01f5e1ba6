"""Check that an encoder can be loaded, and that a conversion left its hidden states alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ordinal.model.published import load_encoder
from ordinal.tokenization.tokenizer import length_limit, load_tokenizer

TEXTS = (
    "The room was clean, the staff friendly.",
    "Never again! Noisy, dirty & over-priced (£ 120).",
    "ＯＫ   für 2 Nächte… 5★",
)
LENGTH = 32  # tokens
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Loaded:
    """The size of an encoder, and the most tokens that it reads, or None if there is no limit."""

    parameters: int
    max_length: int | None


def check_encoder(source: Path, target: Path) -> Loaded:
    """Load a converted encoder, and compare its hidden states with those of the original.

    Raises:
        UserError: its tokenizer does not end texts as the encoder needs.
        ValueError: it can't be loaded or lacks weights, or the hidden states differ.
    """
    limit = length_limit(target)
    tokenizer = load_tokenizer(target, int(min(LENGTH, limit)))
    ids = [torch.tensor([tokenizer.encode(text).ids]) for text in TEXTS]
    # Two calls, so that only one model is in memory at a time.
    parameters, after = _hidden_states(target, ids)
    _, before = _hidden_states(source, ids)
    for one, other in zip(before, after, strict=True):
        difference = float((one - other).abs().max())
        if not difference <= TOLERANCE:  # or NaN
            raise ValueError(f"its hidden states differ by {difference:.2g} after the conversion")
    return Loaded(parameters, None if math.isinf(limit) else int(limit))


def _hidden_states(folder: Path, ids: Sequence[Tensor]) -> tuple[int, list[Tensor]]:
    """Return the number of weights of the encoder in a folder, and its hidden states of texts."""
    model = load_encoder(folder)
    encoder = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.inference_mode():
        states = [encoder(input_ids=row).last_hidden_state for row in ids]
    return sum(weight.numel() for weight in model.parameters()), states
