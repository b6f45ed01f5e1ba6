"""Learning curves while a run trains: in tables, in a logger, and on the terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from ordinal.common.errors import one_line
from ordinal.common.params import Train
from ordinal.training.curves import History, LearningCurves, write_tables
from ordinal.training.distributed import is_rank_zero

VALIDATION = ("validation_loss", "validation_mae")

Point = tuple[int, dict[str, float]]
"""An optimiser step, and the figures that are known after it."""


def points_of(history: History, steps_per_epoch: int) -> list[Point]:
    """Return the points of the learning curves in the order in which they were computed."""
    steps = [(int(row["step"]), {"train_loss": row["train_loss"]}) for row in history.steps]
    epochs = [
        (int(row["epoch"]) * steps_per_epoch, {name: row[name] for name in VALIDATION})
        for row in history.epochs
    ]
    return sorted([*steps, *epochs], key=lambda point: point[0])


class LiveCurves(Callback):
    """Write each new point of the learning curves to the tables and to the trainer's logger.

    The logger also gets the learning rate of the head, and the training rows per second. A resumed
    run begins with the points from before it was stopped.

    Args:
        curves: the callback that records the curves; it has to be before this one.
        recipe: the training recipe.
        steps: optimiser steps of the whole run.
        tables: folder of the tables, or None for none.
    """

    def __init__(
        self, curves: LearningCurves, recipe: Train, steps: int, tables: Path | None
    ) -> None:
        self.curves = curves
        self.recipe = recipe
        self.steps_per_epoch = steps // recipe.epochs
        self.tables = tables
        self.published = 0
        """Points that were written."""
        self.rows = 0
        """Training rows since `start`."""
        self.start = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._publish(trainer)
        self._restart_clock()  # a resumed run may begin in the middle of an epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart_clock()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.rows += trainer.world_size * len(batch.labels)
        schedule: Any = trainer.lr_scheduler_configs[0].scheduler
        is_new = self._publish(
            trainer,
            learning_rate=self.recipe.lr * schedule.get_last_lr()[0] / schedule.base_lrs[0],
            rows_per_second=self.rows / (time.monotonic() - self.start),
        )
        if is_new:
            self._restart_clock()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._publish(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Lightning does the same after this, where an error would end the run.
        with _drop_failing_logger(trainer):
            for logger in trainer.loggers:
                logger.finalize("success")
        trainer.loggers = []

    def _restart_clock(self) -> None:
        self.rows = 0
        self.start = time.monotonic()

    def _publish(self, trainer: Trainer, **others: float) -> bool:
        """Write the new points, each with the other figures, and return whether there are any."""
        points = points_of(self.curves.history, self.steps_per_epoch)
        new = points[self.published :]
        self.published = len(points)
        if new and is_rank_zero():
            if self.tables:
                write_tables(self.curves.history, self.tables)
            with _drop_failing_logger(trainer):
                for logger in trainer.loggers:
                    for step, figures in new:
                        logger.log_metrics(figures | others, step)
                    logger.save()
        return bool(new)


@contextmanager
def _drop_failing_logger(trainer: Trainer) -> Iterator[None]:
    """Go on without the trainer's logger if it fails."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (each library raises its own errors)
        print(f"train: goes on without its logger, which failed: {one_line(error)}", flush=True)
        trainer.loggers = []


class EpochLog(Callback):
    """Print a line per epoch, where there is no terminal to draw a progress line on."""

    def __init__(self, curves: LearningCurves) -> None:
        self.curves = curves

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        figures = self.curves.history.epochs[-1]
        listed = ", ".join(
            f"{name} {value:g}" for name, value in figures.items() if name != "epoch"
        )
        print(f"train: epoch {figures['epoch']} of {trainer.max_epochs}: {listed}", flush=True)


class ProgressLine(Callback):
    """Draw one line on the terminal: share of the batches, loss, validation MAE and time left."""

    def __init__(self, curves: LearningCurves) -> None:
        self.curves = curves
        self.line: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches, epochs = int(trainer.num_training_batches), trainer.max_epochs or 0
        done = trainer.datamodule.resumed  # type: ignore[attr-defined]
        self.line = tqdm(
            desc="train",
            total=epochs * batches,
            initial=done["epoch"] * batches + done["batches"],
            unit="batch",
            dynamic_ncols=True,
            smoothing=0,  # the mean speed, because no batch is done during a validation
            disable=not is_rank_zero(),
        )
        self._show_figures()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if self.line is not None:
            self.line.update()
        self._show_figures()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._show_figures()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self.line is not None:
            self.line.close()

    def _show_figures(self) -> None:
        """Write the newest figures behind the bar; it is drawn with its next batch."""
        steps, epochs = self.curves.history.steps, self.curves.history.epochs
        figures = []
        if steps:
            figures.append(f"loss {steps[-1]['train_loss']:.4g}")
        if epochs:
            figures.append(f"validation MAE {epochs[-1]['validation_mae']:.4g}")
        if self.line is not None:
            self.line.set_postfix_str(", ".join(figures), refresh=False)
