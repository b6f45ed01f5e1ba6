"""Lightning's Trainer for a recipe, without the log lines and warnings that do not apply here."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import TorchCheckpointIO

from ordinal.common.params import Train
from ordinal.model.device import choose_precision, slow_precision
from ordinal.training.distributed import choose_environment, choose_strategy, is_rank_zero

IGNORED_WARNINGS = {
    "does not have many workers": "padding takes microseconds, which processes would not repay",
    "LeafSpec": "raised by Lightning's own code",
    "broadcast_buffers": "the new name is missing in the oldest torch that we support",
    "smaller than the logging interval": "LiveCurves chooses the steps to log",
    "your dataloader is not resumable": "TrainingData resumes it",
}


def new_trainer(
    recipe: Train,
    device: torch.device,
    callbacks: Sequence[Callback],
    folder: Path | None,
    logger: Logger | None = None,
) -> lightning.Trainer:
    """A trainer for one fit.

    Args:
        recipe: the training recipe.
        device: device to train on.
        callbacks: Lightning callbacks.
        folder: folder of the checkpoints, if there are any.
        logger: Lightning logger, if there is one.

    Raises:
        UserError: the recipe does not fit the hardware or the started processes.
    """
    # Else torch fills each new tensor first, which takes a tenth of the time of a step on a GPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    environment = choose_environment(recipe, device)
    precision = choose_precision(recipe.precision, device)
    if (slow := slow_precision(precision, device)) and is_rank_zero():
        print(f"train: {slow}", flush=True)
    return lightning.Trainer(
        accelerator=device.type,
        devices=recipe.devices,
        num_nodes=recipe.num_nodes,
        strategy=choose_strategy(recipe),
        precision=precision,
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip,
        callbacks=list(callbacks),
        default_root_dir=folder,
        deterministic=True,
        enable_checkpointing=False,  # `Checkpoints` replaces Lightning's own callback
        enable_model_summary=False,
        enable_progress_bar=False,  # `ProgressLine` replaces it
        logger=logger or False,
        num_sanity_val_steps=0,
        plugins=[DirectIO(), environment],
        reload_dataloaders_every_n_epochs=1,  # each epoch has its own order of batches
        use_distributed_sampler=False,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's log lines and the warnings that do not apply here."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in IGNORED_WARNINGS:
            warnings.filterwarnings("ignore", message=f".*{message}.*")
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class DirectIO(TorchCheckpointIO):
    """Write a checkpoint to its file directly.

    Lightning's own class holds a whole checkpoint in memory and in the temporary folder first.
    """

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        with Path(path).open("wb") as file:
            torch.save(checkpoint, file)
