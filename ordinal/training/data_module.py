"""The batches of a training run: padded, divided between ranks, and resumable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ordinal.common.params import Train
from ordinal.common.types import Rows
from ordinal.model.device import batch_tokens, pad_multiple
from ordinal.tokenization.batching import evaluation_batches, training_batches
from ordinal.tokenization.tokens import Tokens
from ordinal.training.distributed import is_counted, rows_for_rank, weight_of_rows


class Batch(NamedTuple):
    """A rank's rows of a batch."""

    ids: Tensor
    """Token ids, shape (rows, width)."""
    mask: Tensor
    """Attention mask, shape (rows, width)."""
    labels: Tensor
    """Shape (rows,)."""
    weight: float
    """Factor of the mean loss of these rows in the mean over ranks: 0 for a row of another rank."""


class TrainingData(lightning.LightningDataModule):
    """The batches of each epoch, and the position from which a resumed run continues.

    The training batches depend on (seed, epoch) only, so that a position in them is an epoch and a
    number of batches.

    Args:
        train: training rows.
        validation: validation rows.
        row_weights: weight of each training row in the mean loss of its batch, shape (rows,).
        pad_id: token id of padding.
        device: device that the batches are for.
        recipe: its batch size and seed are used.
    """

    def __init__(
        self,
        train: Tokens,
        validation: Tokens,
        row_weights: Tensor,
        pad_id: int,
        device: torch.device,
        recipe: Train,
    ) -> None:
        super().__init__()
        self.train = train
        self.validation = validation
        self.row_weights = row_weights
        self.pad_id = pad_id
        self.device = device
        self.recipe = recipe
        self.resumed = {"epoch": 0, "batches": 0}

    def train_dataloader(self) -> DataLoader[Batch]:
        trainer, seed = self._trainer(), self.recipe.seed
        rank, ranks, epoch = trainer.global_rank, trainer.world_size, trainer.current_epoch
        batches = training_batches(self.train.lengths, self.recipe.batch_size, seed, epoch)

        def weigh(batch: Rows) -> float:
            return weight_of_rows(batch, rank, ranks, self.row_weights)

        done = self.resumed["batches"] if epoch == self.resumed["epoch"] else 0
        return self._load(self.train, batches, weigh, done)

    def val_dataloader(self) -> DataLoader[Batch]:
        rank = self._trainer().global_rank
        batches = evaluation_batches(self.validation.lengths, batch_tokens(self.device))
        return self._load(self.validation, batches, lambda batch: float(is_counted(batch, rank)))

    def _load(
        self,
        tokens: Tokens,
        batches: list[Rows],
        weigh: Callable[[Rows], float],
        done: int = 0,
    ) -> DataLoader[Batch]:
        rank, ranks = self._trainer().global_rank, self._trainer().world_size
        multiple = pad_multiple(self.device)
        # The dataset yields whole batches, hence batch_size=None. From pinned memory, a batch is
        # copied to a GPU while the GPU still computes the previous one.
        return DataLoader(
            PaddedBatches(tokens, batches, rank, ranks, weigh, self.pad_id, multiple),
            sampler=Remaining(len(batches), done),
            batch_size=None,
            pin_memory=self.device.type == "cuda",
        )

    def state_dict(self) -> dict[str, Any]:
        """Position in the training batches: the current epoch, and its batches done so far."""
        trainer = self._trainer()
        return {"epoch": trainer.current_epoch, "batches": trainer.fit_loop.batch_idx + 1}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the position to resume from."""
        self.resumed = state_dict

    def _trainer(self) -> lightning.Trainer:
        assert self.trainer is not None, "Lightning sets it in fit"
        return self.trainer


@dataclass(frozen=True)
class PaddedBatches(Dataset[Batch]):
    """A rank's rows of each batch, padded."""

    tokens: Tokens
    batches: list[Rows]
    rank: int
    ranks: int
    weigh: Callable[[Rows], float]
    pad_id: int
    multiple: int

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        batch = self.batches[index]
        rows = rows_for_rank(batch, self.rank, self.ranks)
        ids, mask = self.tokens.pad(rows, self.pad_id, self.multiple)
        labels = torch.from_numpy(self.tokens.labels[rows])
        return Batch(torch.from_numpy(ids), torch.from_numpy(mask), labels, self.weigh(batch))


@dataclass(frozen=True)
class Remaining:
    """Numbers of the batches after the first `done`.

    Its length is that of the whole epoch, because Lightning counts the batches done as well.
    """

    batches: int
    done: int

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.done, self.batches))
