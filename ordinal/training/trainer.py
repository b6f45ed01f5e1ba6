"""Lightning's Trainer as a recipe asks for it, and silent where Lightning would cry wolf."""

import logging
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import TorchCheckpointIO

from ordinal.common.params import Train
from ordinal.model.device import choose_device, choose_precision, keep_memory, slow_precision
from ordinal.training.distributed import (
    choose_environment,
    choose_strategy,
    is_rank_zero,
)

IGNORED_WARNINGS = (
    "does not have many workers",  # padding takes microseconds: processes would cost more
    "LeafSpec",  # of Lightning's own making
    "broadcast_buffers",  # its new name is too new
    "sync_dist=True",  # what is logged is the same on all ranks
    "your dataloader is not resumable",  # ours is
)


def new_trainer(recipe: Train, folder: Path | None) -> lightning.Trainer:
    """A trainer, for one fit. `folder` is where its checkpoints will be, if there are any.

    Raises:
        UserError: the recipe asks for hardware that is not there.
    """
    device = choose_device(recipe.accelerator)
    if device.type == "cpu":
        keep_memory()
    environment = choose_environment(recipe, device)
    precision = choose_precision(recipe.precision, device)
    if (slow := slow_precision(precision, device)) and is_rank_zero():
        print(f"train: {slow}", flush=True)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=f".*{message}.*")
    on_terminal = sys.stderr.isatty()
    return lightning.Trainer(
        accelerator=device.type,
        devices=recipe.devices,
        num_nodes=recipe.num_nodes,
        strategy=choose_strategy(recipe),
        precision=precision,
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip,
        callbacks=[KeepSignals(), *([] if on_terminal else [EpochLines()])],
        default_root_dir=folder,
        deterministic="warn",
        enable_checkpointing=False,  # by Lightning's own callback
        enable_model_summary=False,
        enable_progress_bar=on_terminal,
        logger=False,
        num_sanity_val_steps=0,
        plugins=[DirectIO(), environment],
        reload_dataloaders_every_n_epochs=1,  # the order of the batches is new each epoch
        use_distributed_sampler=False,
    )


class DirectIO(TorchCheckpointIO):
    """Writes to the file itself: Lightning goes by way of memory and the temporary folder."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        with Path(path).open("wb") as file:
            torch.save(checkpoint, file)


class EpochLines(Callback):
    """One log line an epoch, for where there is no terminal to draw a bar on."""

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        figures = module.history.epochs[-1]
        shown = ", ".join(f"{name} {value:g}" for name, value in figures.items() if name != "epoch")
        print(f"train: epoch {figures['epoch']} of {trainer.max_epochs}: {shown}", flush=True)


class KeepSignals(Callback):
    """SIGTERM is handled as before the fit.

    Lightning would broadcast it, which hangs where other ranks are in the midst of a step.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Any, module: Any) -> None:
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, self.handler)
