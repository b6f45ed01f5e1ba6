"""Batches of tensors, from rows of tokens: padded, and copied to the device ahead of time."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ordinal.common.types import Rows
from ordinal.model.device import pad_multiple
from ordinal.tokenization.tokens import Tokens

Batch = tuple[Tensor, Tensor, Tensor]
"""Ids and mask, both (rows, width), and labels (rows,)."""


def load_batches(
    tokens: Tokens, batches: list[Rows], pad_id: int, device: torch.device, done: int = 0
) -> DataLoader[Batch]:
    """The batches of an epoch, all but the first `done`, in their order."""
    # The "sampler" yields the rows of whole batches, hence batch_size=None. From pinned memory a
    # batch is copied to a GPU while that still computes the one before.
    return DataLoader(
        PaddedBatches(tokens, pad_id, pad_multiple(device)),
        sampler=Remaining(batches, done),
        batch_size=None,
        pin_memory=device.type == "cuda",
    )


@dataclass(frozen=True)
class Remaining:
    """The batches of an epoch but the first `done`; it is as long as all: Lightning counts them."""

    batches: list[Rows]
    done: int

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Rows]:
        return iter(self.batches[self.done :])


class PaddedBatches(Dataset[Batch]):
    """Indexed by an array of rows."""

    def __init__(self, tokens: Tokens, pad_id: int, multiple: int) -> None:
        self.tokens = tokens
        self.pad_id = pad_id
        self.multiple = multiple

    def __getitem__(self, rows: Rows) -> Batch:
        ids, mask = self.tokens.pad(rows, self.pad_id, self.multiple)
        labels = self.tokens.labels[rows]
        return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(labels)
