"""From token ids to distributions over the classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ordinal.common.types import Padded, Probabilities
from ordinal.tokenization.batching import evaluation_batches
from ordinal.tokenization.tokens import Tokens

CPU_TOKENS = 1024  # of a batch: a CPU gains nothing by more, and few rows are more alike


@dataclass(frozen=True)
class Network:
    """A trained classifier, whatever computes it."""

    classes: int
    pad_id: int
    distributions: Callable[[Padded, Padded], Probabilities]
    """From token ids and mask, both (rows, width), to distributions, shape (rows, K)."""
    batch_tokens: int = CPU_TOKENS
    """Tokens of a batch, padding included."""
    multiple: int = 1
    """What the width of a batch shall be a multiple of."""


def predict_probabilities(
    network: Network, tokens: Tokens, description: str | None = None
) -> Probabilities:
    """Distributions over the K classes, shape (rows, K), float32, in row order.

    With a `description` a terminal sees a bar of that name.
    """
    result = np.empty((len(tokens), network.classes), np.float32)
    batches = evaluation_batches(tokens.lengths, network.batch_tokens)
    quiet = None if description else True  # None: quiet unless on a terminal
    for rows in tqdm(batches, desc=description, unit="batch", disable=quiet):
        result[rows] = network.distributions(*tokens.pad(rows, network.pad_id, network.multiple))
    return result
