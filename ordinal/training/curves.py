"""The learning curves of a training run, recorded while it trains."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from ordinal.common.errors import UserError
from ordinal.common.files import atomic_file
from ordinal.training.distributed import all_gather, current_rank


@dataclass
class History:
    """The learning curves: one entry per epoch, and one every few steps."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)


class LearningCurves(Callback):
    """Record the training loss every few steps, and losses and validation MAE after each epoch.

    Losses are summed on the device, so that no step waits for a number. Each rank has its own sums.

    Args:
        every: optimiser steps between two points of the step curve.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.history = History()
        self.sums = torch.zeros(2)
        """Sums of the batch losses: of this epoch, and since the last point of the step curve."""
        self.counts = [0, 0]
        """Batches in each of the two sums."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.sums = self.sums.to(pl_module.device)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.sums += outputs["batch_loss"]
        self.counts = [count + 1 for count in self.counts]
        step = trainer.global_step
        last = self.history.steps[-1]["step"] if self.history.steps else 0
        if step >= last + self.every:
            self.history.steps.append({"step": step, "train_loss": round(self._take_mean(1), 5)})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        metrics = trainer.callback_metrics
        losses = {
            "train_loss": self._take_mean(0),
            "validation_loss": metrics["validation_loss"].item(),
        }
        if not all(map(math.isfinite, losses.values())):
            raise UserError(
                f"training diverged in epoch {epoch} (the loss is not finite): "
                "lower train.lr or train.clip"
            )
        figures = losses | {"validation_mae": metrics["validation_mae"].item()}
        rounded = {name: round(figure, 5) for name, figure in figures.items()}
        self.history.epochs.append({"epoch": epoch, **rounded})

    def _take_mean(self, part: int) -> float:
        """Return one of the mean losses over batches and ranks, and start it again."""
        mean = all_gather(self.sums)[:, part].mean().item() / self.counts[part]
        self.sums[part] = 0
        self.counts[part] = 0
        return mean

    def state_dict(self) -> dict[str, Any]:
        sums = all_gather(self.sums).tolist()
        return {"history": asdict(self.history), "sums": sums, "counts": self.counts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = History(**state_dict["history"])
        self.sums = torch.tensor(state_dict["sums"][current_rank()])
        self.counts = state_dict["counts"]


def write_tables(history: History, folder: Path) -> None:
    """Write the learning curves as epochs.csv and steps.csv, as far as they have points."""
    for name, points in asdict(history).items():
        if points:
            with atomic_file(folder / f"{name}.csv") as path:
                pd.DataFrame(points).to_csv(path, index=False)
