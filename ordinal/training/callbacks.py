"""Callbacks of a training run: best weights, early stopping and checkpoints.

Each keeps what a resumed run needs in its own `state_dict`, as plain types and tensors: Lightning
saves it in the checkpoints, which are loaded with `weights_only=True`.
"""

import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor

from ordinal.common.params import Train
from ordinal.training.checkpoints import save_checkpoint
from ordinal.training.curves import LearningCurves
from ordinal.training.distributed import is_rank_zero
from ordinal.training.live import EpochLog, LiveCurves, ProgressLine

CHECKPOINT_TIME = 0.05  # largest share of the time that is spent on checkpoints


class BestWeights(Callback):
    """Keep the weights of the epoch with the lowest validation MAE, in memory."""

    def __init__(self) -> None:
        self.mae = math.inf
        self.weights: dict[str, Tensor] = {}
        """Names as in the model; empty on all ranks but 0 with FSDP."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        mae = trainer.callback_metrics["validation_mae"].item()
        if mae < self.mae:
            self.mae = mae
            weights = trainer.strategy.lightning_module_state_dict()
            self.weights = {
                name.removeprefix("model."): weight.to("cpu", copy=True)
                for name, weight in weights.items()
            }

    def state_dict(self) -> dict[str, Any]:
        return {"mae": self.mae, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.mae = state_dict["mae"]
        self.weights = state_dict["weights"]


class Patience(EarlyStopping):
    """Stop after so many epochs without a lower validation MAE, also if resumed at that point."""

    def __init__(self, epochs: int) -> None:
        super().__init__("validation_mae", patience=epochs, check_on_train_epoch_end=False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = self.wait_count >= self.patience


class Checkpoints(Callback):
    """Save a checkpoint every few steps and after each epoch, and less often if that is slow.

    Args:
        folder: folder of this run's checkpoints.
        every: optimiser steps between two checkpoints, or None for one after each epoch only.
    """

    def __init__(self, folder: Path, every: int | None) -> None:
        self.folder = folder
        self.every = every
        self.saved_step = 0
        self.next_save = 0.0

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        since = trainer.global_step - self.saved_step
        due = self.every is not None and since > 0 and since % self.every == 0
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        # Not after the last batch: a checkpoint follows the validation.
        if due and stepped and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """Save a checkpoint, unless the last one was slow and recent by the clock of rank 0."""
        start = time.monotonic()
        if not trainer.strategy.broadcast(start >= self.next_save):
            return
        self.saved_step = trainer.global_step
        if is_rank_zero():
            save_checkpoint(self.folder, self.saved_step, trainer.save_checkpoint)
        else:
            trainer.save_checkpoint(self.folder)  # contributes its part, but writes no file
        end = time.monotonic()
        self.next_save = end + (end - start) / CHECKPOINT_TIME

    def state_dict(self) -> dict[str, Any]:
        return {"saved_step": self.saved_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.saved_step = state_dict["saved_step"]


class KeepSigtermHandler(Callback):
    """Restore the SIGTERM handler of before the fit, if there are several ranks.

    Lightning's handler broadcasts the signal, which hangs if other ranks are in the middle of a
    step.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, self.handler)


def callbacks_for(
    recipe: Train,
    curves: LearningCurves,
    best: BestWeights,
    live: LiveCurves,
    checkpoints: Path | None,
) -> list[Callback]:
    """The callbacks of a run in their order: checkpoints contain the state of those before them."""
    callbacks: list[Callback] = [KeepSigtermHandler(), curves, best]
    if recipe.patience is not None:
        callbacks.append(Patience(recipe.patience))
    if checkpoints is not None:
        callbacks.append(Checkpoints(checkpoints, recipe.checkpoint_every))
    terminal = ProgressLine if sys.stderr.isatty() else EpochLog
    return [*callbacks, live, terminal(curves)]
