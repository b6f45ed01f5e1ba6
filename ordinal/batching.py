"""Where batches are formed: like lengths together, in an order that (seed, epoch) fixes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BUCKET = 50  # batches sorted by length together, at least: few enough that a corpus stays mixed
PADDING = 0.05  # of what batches hold, at most, if larger buckets can help it

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """Tokenized reviews as one flat array: row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        """Map the file that `tokenize` wrote into memory, where all processes share it."""
        rows = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        column = rows["input_ids"]
        return cls(
            column.values.to_numpy(),  # no copy, nor is the next
            column.offsets.to_numpy(),
            rows["label"].to_numpy().astype(np.int64),
        )

    @classmethod
    def of(cls, ids: Sequence[Sequence[int] | npt.NDArray[np.int32]]) -> "Tokens":
        """The token ids of some texts, whose labels nobody knows: they are -1."""
        offsets = np.cumsum([0, *map(len, ids)])
        flat = np.concatenate([np.asarray(row, np.int32) for row in ids])
        return cls(flat, offsets, np.full(len(ids), -1))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Rows:
        """Tokens of each row, shape (rows,)."""
        return np.diff(self.offsets)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.lengths.max())

    def pad(
        self, rows: Rows, pad_id: int, multiple: int = 1
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Token ids and attention mask of some rows, both (len(rows), width).

        The width is the longest of them, rounded up to a `multiple`, but never more than the
        longest row of all: the encoder may have no position for it.
        """
        starts = self.offsets[rows, None]
        lengths = self.offsets[rows + 1, None] - starts
        columns = np.arange(min(-(-lengths.max() // multiple) * multiple, self.longest))
        mask = columns < lengths
        ids = np.where(mask, self.ids[np.where(mask, starts + columns, 0)], pad_id)
        return ids.astype(np.int64), mask.astype(np.int64)


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
