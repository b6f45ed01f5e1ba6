"""Batches of rows of similar length, in an order that depends on the seed and the epoch only."""

from collections.abc import Sequence

import numpy as np

from ordinal.common.types import Rows

BATCHES_PER_BUCKET = 50  # at least; small compared with a corpus, so that batches stay mixed
MAX_PADDING = 0.05  # share of padding above which buckets become larger


def training_batches(lengths: Rows, size: int, seed: int, epoch: int) -> list[Rows]:
    """Return the batches of one epoch: each row once, `size` rows per batch (the last may differ).

    Rows are shuffled, sorted by length within buckets of `BATCHES_PER_BUCKET` batches, and cut into
    batches, which are shuffled. If more than `MAX_PADDING` of the batches is padding, the buckets
    are doubled until it is less or one bucket has all rows. The result depends on the arguments
    only, so a stopped run can resume at any batch.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    width = size * BATCHES_PER_BUCKET
    batches = _cut(_sorted_in_buckets(order, lengths, width), size)
    while padding_share(lengths, batches) > MAX_PADDING and width < len(order):
        width *= 2
        batches = _cut(_sorted_in_buckets(order, lengths, width), size)
    rng.shuffle(batches)
    return batches


def padding_share(lengths: Rows, batches: Sequence[Rows]) -> float:
    """Return the share of padding among all tokens of the padded batches."""
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return float(1 - lengths.sum() / padded)


def _sorted_in_buckets(order: Rows, lengths: Rows, width: int) -> Rows:
    return order[np.lexsort((lengths[order], np.arange(len(order)) // width))]


def _cut(order: Rows, size: int) -> list[Rows]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def batch_seed(seed: int, epoch: int, batch: int, rank: int = 0) -> int:
    """Return the seed of one batch's randomness (dropout), independent of earlier batches.

    Each rank has its own seed. numpy treats missing numbers as zeros, so rank 0 has the seed of a
    run with one process.
    """
    return int(np.random.SeedSequence((seed, epoch, batch, rank)).generate_state(1)[0])


def evaluation_batches(lengths: Rows, tokens: int) -> list[Rows]:
    """Return batches with each row once, the longest rows first.

    A batch has at least one row, and at most `tokens` tokens including padding. Starting with the
    longest rows, a batch that does not fit into memory fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        end = start + max(1, tokens // lengths[order[start]])
        batches.append(order[start:end])
        start = end
    return batches
