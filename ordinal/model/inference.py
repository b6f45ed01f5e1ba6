"""From token ids to distributions over the classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ordinal.common.types import Padded, Probabilities
from ordinal.tokenization.batching import evaluation_batches
from ordinal.tokenization.tokens import Tokens

CPU_TOKENS = 1024  # per batch: larger batches are no faster on a CPU and contain more padding


@dataclass(frozen=True)
class Network:
    """A trained classifier, computed by torch or by onnxruntime."""

    classes: int
    pad_id: int
    distributions: Callable[[Padded, Padded], Probabilities]
    """Token ids and mask, both (rows, width), to distributions, shape (rows, K)."""
    batch_tokens: int = CPU_TOKENS
    """Tokens per batch, including padding."""
    multiple: int = 1
    """The width of each batch is padded to a multiple of this."""


def predict_probabilities(
    network: Network, tokens: Tokens, description: str | None = None
) -> Probabilities:
    """Distributions over the K classes, shape (rows, K), float32, in row order.

    With a `description`, a terminal shows a progress bar with it.
    """
    result = np.empty((len(tokens), network.classes), np.float32)
    batches = evaluation_batches(tokens.lengths, network.batch_tokens)
    quiet = None if description else True  # None: no bar unless on a terminal
    for rows in tqdm(batches, desc=description, unit="batch", disable=quiet):
        result[rows] = network.distributions(*tokens.pad(rows, network.pad_id, network.multiple))
    return result
