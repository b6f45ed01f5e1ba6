"""Where batches are formed: like lengths together, in an order that (seed, epoch) fixes."""

from collections.abc import Sequence

import numpy as np

from ordinal.common.types import Rows

BUCKET = 50  # batches sorted by length together, at least: few enough that a corpus stays mixed
PADDING = 0.05  # of what batches hold, at most, if larger buckets can help it


def training_batches(lengths: Rows, size: int, seed: int, epoch: int) -> list[Rows]:
    """The batches of one epoch: every row once, `size` rows each (the last may have fewer).

    Rows are shuffled, sorted by length within buckets of `BUCKET` batches, cut, and the batches
    shuffled. Where the lengths are so uneven that more than `PADDING` of it all were padding,
    buckets are twice as wide, or twice again. All of it depends on `seed` and `epoch` alone, so
    that a run can go on anywhere.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(lengths))
    width = size * BUCKET
    batches = _cut(_sorted_in_buckets(order, lengths, width), size)
    while padding_share(lengths, batches) > PADDING and width < len(order):
        width *= 2
        batches = _cut(_sorted_in_buckets(order, lengths, width), size)
    rng.shuffle(batches)
    return batches


def padding_share(lengths: Rows, batches: Sequence[Rows]) -> float:
    """The share of padding in all that these batches of rows hold."""
    held = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return float(1 - lengths.sum() / held)


def _sorted_in_buckets(order: Rows, lengths: Rows, width: int) -> Rows:
    return order[np.lexsort((lengths[order], np.arange(len(order)) // width))]


def _cut(order: Rows, size: int) -> list[Rows]:
    return [order[at : at + size] for at in range(0, len(order), size)]


def batch_seed(seed: int, epoch: int, batch: int, rank: int = 0) -> int:
    """Seeds what is random in the computing of one batch (dropout), whatever came before it.

    Each rank has its own; numpy takes missing numbers for zeros, so that rank 0 is one process.
    """
    return int(np.random.SeedSequence((seed, epoch, batch, rank)).generate_state(1)[0])


def evaluation_batches(lengths: Rows, tokens: int) -> list[Rows]:
    """Every row once, by length, the longest first: a batch that does not fit fails at once.

    A batch has as many rows as make at most `tokens` when all are as long as its first; one row at
    least.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        end = start + max(1, tokens // lengths[order[start]])
        batches.append(order[start:end])
        start = end
    return batches
