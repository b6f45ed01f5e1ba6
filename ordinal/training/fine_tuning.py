"""Fine-tuning a classifier with Lightning: the module, and `fit`."""

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric
from transformers import PreTrainedModel

from ordinal.common.params import Train
from ordinal.distributions.decoding import decode
from ordinal.model.architecture import weight_depths
from ordinal.model.coral import share_weight, unshare_weight
from ordinal.model.device import attention_kernels, choose_device
from ordinal.model.losses import LOSSES, balanced_weights
from ordinal.tokenization.batching import batch_seed
from ordinal.tokenization.tokens import Tokens
from ordinal.training.callbacks import BestWeights, callbacks_for
from ordinal.training.checkpoints import find_checkpoint, step_of
from ordinal.training.curves import History, LearningCurves, write_tables
from ordinal.training.data_module import Batch, TrainingData
from ordinal.training.distributed import end_together, is_rank_zero, shard_model, start_together
from ordinal.training.live import LiveCurves
from ordinal.training.optimizer import new_optimizer, optimizer_steps
from ordinal.training.trainer import new_trainer, quiet_lightning

CURVE_POINTS = 100  # points of the training loss over the steps


class FineTuning(lightning.LightningModule):
    """A classifier with its loss, its validation metrics and its optimiser.

    Args:
        model: the classifier.
        recipe: the training recipe.
        depths: depth of each weight, for the learning rates.
        steps: optimiser steps of the whole run, for the learning rate schedule.
        class_weights: weights of the classes in the training loss, shape (K,), or None.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        model: PreTrainedModel,
        recipe: Train,
        depths: Mapping[str, int],
        steps: int,
        class_weights: Tensor | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        self.depths = depths
        self.steps = steps
        self.head = LOSSES[recipe.loss]
        self.register_buffer("class_weights", class_weights, persistent=False)
        # Keeps NaN, which means divergence; "disable" would too, but ignores the weights.
        self.validation_loss = MeanMetric(nan_strategy=math.nan)
        self.validation_mae = MeanAbsoluteError()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids, attention_mask=mask).logits
        return logits

    def training_step(self, batch: Batch, index: int) -> dict[str, Tensor]:
        # Dropout depends on the place of the batch only, so that a resumed run repeats it.
        rank = self.global_rank
        torch.manual_seed(batch_seed(self.recipe.seed, self.current_epoch, index, rank))
        logits = self(batch.ids, batch.mask)
        loss = batch.weight * self.head.loss(logits, batch.labels, self.class_weights)
        # Lightning divides `loss` by the number of accumulated batches.
        return {"loss": loss, "batch_loss": loss.detach()}

    def validation_step(self, batch: Batch, index: int) -> None:
        logits = self(batch.ids, batch.mask)
        if batch.weight:
            terms = self.head.terms(batch.labels, logits.shape[1]).sum()
            self.validation_loss.update(self.head.loss(logits, batch.labels), terms)
            distributions = self.head.probabilities(logits).cpu().numpy()
            costs = self.model.config.ordinal.get("costs")
            predicted = torch.from_numpy(decode(distributions, self.recipe.decode, costs))
            self.validation_mae.update(predicted.to(batch.labels), batch.labels)
        # For the callbacks, one of which sends them to the logger.
        self.log("validation_loss", self.validation_loss, logger=False)
        self.log("validation_mae", self.validation_mae, logger=False)

    def configure_model(self) -> None:
        if self.device_mesh is not None:
            shard_model(self.model, self.device_mesh["data_parallel"])

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning's own clipping refuses a fused optimiser with bf16, because of a gradient scaler
        # that only fp16 has.
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        optimizer, schedule = new_optimizer(self.model, self.recipe, self.depths, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit(
    model: PreTrainedModel,
    train: Tokens,
    validation: Tokens,
    recipe: Train,
    checkpoints: Path | None = None,
    callbacks: Sequence[Callback] = (),
    tables: Path | None = None,
    logger: Logger | None = None,
) -> History:
    """Fine-tune `model` in place; it ends with the weights of the lowest validation MAE.

    On several devices, each process of the run calls this function. `model` is the trained one in
    the process where `is_rank_zero()` is true.

    Args:
        model: a new classifier, made for the loss of the recipe.
        train: training rows.
        validation: validation rows.
        recipe: the training recipe.
        checkpoints: folder of this run's checkpoints, named by its `run_key`, or None for none. A
            run that was stopped resumes from the last one, and ends with the same bytes.
        callbacks: additional Lightning callbacks.
        tables: folder of the learning curves, which grow while the run trains, or None for none.
        logger: Lightning logger, which gets them too, or None.

    Raises:
        UserError: the recipe does not fit the hardware, or the loss became infinite.
    """
    lightning.seed_everything(recipe.seed, verbose=False)
    head, device = LOSSES[recipe.loss], choose_device(recipe.accelerator)
    if head.shared_weight:
        share_weight(model)
    fitted = copy.deepcopy(model) if recipe.strategy == "fsdp" else model  # shards stay shards
    module, data = _modules(fitted, train, validation, recipe, device)
    curves, best = LearningCurves(max(1, module.steps // CURVE_POINTS)), BestWeights()
    live = LiveCurves(curves, recipe, module.steps, tables)
    ours = callbacks_for(recipe, curves, best, live, checkpoints)
    with quiet_lightning(), attention_kernels():
        trainer = new_trainer(recipe, device, [*ours, *callbacks], checkpoints, logger)
        _train(trainer, module, data, checkpoints)
    if is_rank_zero():
        model.load_state_dict(best.weights)
        if tables:
            write_tables(curves.history, tables)
    if head.shared_weight:
        unshare_weight(model)
    model.cpu().eval()
    return curves.history


def _modules(
    model: PreTrainedModel, train: Tokens, validation: Tokens, recipe: Train, device: torch.device
) -> tuple[FineTuning, TrainingData]:
    """The LightningModule and the LightningDataModule of a run."""
    labels = torch.from_numpy(train.labels)
    classes = len(model.config.ordinal["labels"])
    weights = balanced_weights(labels, classes) if recipe.class_weights == "balanced" else None
    row_weights = LOSSES[recipe.loss].row_weights(labels, classes, weights)
    pad_id = model.config.pad_token_id
    shortest = train.pad(np.array([train.lengths.argmin()]), pad_id)
    depths = weight_depths(model, *map(torch.from_numpy, shortest))
    return (
        FineTuning(model, recipe, depths, optimizer_steps(len(train), recipe), weights),
        TrainingData(train, validation, row_weights, pad_id, device, recipe),
    )


def _train(
    trainer: lightning.Trainer, module: FineTuning, data: TrainingData, checkpoints: Path | None
) -> None:
    """Train together with the other processes, from the last checkpoint on if there is one."""
    with end_together(trainer):
        start_together(trainer, module)
        last = _last_checkpoint(trainer, checkpoints)
        trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)


def _last_checkpoint(trainer: lightning.Trainer, folder: Path | None) -> Path | None:
    """The checkpoint to resume from, as found by rank 0."""
    found = find_checkpoint(folder) if folder and is_rank_zero() else None
    last: Path | None = trainer.strategy.broadcast(found)
    if last:
        print(f"train: resumes after step {step_of(last)}", flush=True)
    return last
