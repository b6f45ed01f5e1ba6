"""Fine-tuning: one LightningModule, one fit."""

import copy
import math
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.common.types import Rows
from ordinal.distributions.decoding import decode
from ordinal.model.coral import share_weight, unshare_weight
from ordinal.model.device import batch_tokens
from ordinal.model.losses import LOSSES, balanced_weights
from ordinal.tokenization.batching import batch_seed, evaluation_batches, training_batches
from ordinal.tokenization.tokens import Tokens
from ordinal.training.checkpoints import find_checkpoint, save_checkpoint, step_of
from ordinal.training.data_module import Batch, load_batches
from ordinal.training.distributed import (
    all_gather,
    is_counted,
    is_rank_zero,
    rows_for_rank,
    shard_model,
    start_together,
    stop_other_ranks,
    weight_of_rows,
)
from ordinal.training.optimizer import new_optimizer
from ordinal.training.trainer import new_trainer

CURVE_POINTS = 100  # of the loss over the steps
CHECKPOINT_TIME = 0.05  # the largest share of the time that goes into checkpoints


@dataclass
class History:
    """The learning curves: one entry an epoch, and one every few steps."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Best:
    """The epoch of least validation MAE so far, and its weights."""

    epoch: int = 0
    mae: float = math.inf
    weights: dict[str, Tensor] = field(default_factory=dict)


class FineTuning(lightning.LightningModule):
    """A classifier in training: loss, validation MAE, AdamW with warm-up and decay.

    What the rest of a run depends on is in its checkpoint: weights, best weights, curves and sums
    here; optimiser, schedule and counters by Lightning. The rows and the randomness of a batch
    depend on its place alone, and on the rank: of several, each takes its share of every batch.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        model: PreTrainedModel,
        train: Tokens,
        validation: Tokens,
        recipe: Train,
        checkpoints: Path | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.head = LOSSES[recipe.loss]
        self.recipe = recipe
        classes = len(model.config.ordinal["labels"])
        labels = torch.from_numpy(train.labels)
        balanced = recipe.class_weights == "balanced"
        weights = balanced_weights(labels, classes) if balanced else None
        self.register_buffer("class_weights", weights, persistent=False)
        self.row_weights = self.head.row_weights(labels, classes, weights)
        # Sums and counts, of this epoch and since the last point of the curve, stay on the device:
        # no step waits for a log line. Each rank has its own, hence they are no buffers, which DDP
        # makes alike.
        self.train_loss = torch.zeros(2)
        self.recent_loss = torch.zeros(2)
        self.history = History()
        self.best = Best()
        self.train_tokens = train
        self.validation_tokens = validation
        self.checkpoints = checkpoints
        self.saved_step = 0
        self.next_save = 0.0

    def train_dataloader(self) -> DataLoader[Batch]:
        recipe = self.recipe
        epoch = self.trainer.current_epoch
        lengths = self.train_tokens.lengths
        self.batches = training_batches(lengths, recipe.batch_size, recipe.seed, epoch)
        done = int(self.train_loss[1])  # not 0 only where a run goes on in the midst of an epoch
        return self._load(self.train_tokens, self.batches, done)

    def val_dataloader(self) -> DataLoader[Batch]:
        tokens = self.validation_tokens
        self.validation_batches = evaluation_batches(tokens.lengths, batch_tokens(self.device))
        return self._load(tokens, self.validation_batches)

    def _load(self, tokens: Tokens, batches: list[Rows], done: int = 0) -> DataLoader[Batch]:
        ranks = self.trainer.world_size
        shares = [rows_for_rank(batch, self.global_rank, ranks) for batch in batches]
        return load_batches(tokens, shares, self.model.config.pad_token_id, self.device, done)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids, attention_mask=mask).logits
        return logits

    def configure_model(self) -> None:
        if self.device_mesh is not None:
            shard_model(self.model, self.device_mesh["data_parallel"])

    def on_fit_start(self) -> None:
        self.train_loss = self.train_loss.to(self.device)
        self.recent_loss = self.recent_loss.to(self.device)

    def on_train_start(self) -> None:
        self.trainer.should_stop = self._patience_is_spent()
        self.saved_step = self.trainer.global_step

    def training_step(self, batch: Batch, index: int) -> Tensor:
        rank, ranks = self.global_rank, self.trainer.world_size
        torch.manual_seed(batch_seed(self.recipe.seed, self.current_epoch, index, rank))  # dropout
        ids, mask, labels = batch
        weight = weight_of_rows(self.batches[index], rank, ranks, self.row_weights)
        loss = weight * self.head.loss(self(ids, mask), labels, self.class_weights)
        seen = torch.stack([loss.detach(), loss.new_ones(())])
        self.train_loss += seen
        self.recent_loss += seen
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, index: int) -> None:
        total = self.trainer.estimated_stepping_batches
        every = max(1, int(total) // CURVE_POINTS)
        step = self.trainer.global_step
        last = self.history.steps[-1]["step"] if self.history.steps else 0
        if step >= last + every:
            loss, count = all_gather(self.recent_loss).mean(dim=0).tolist()
            self.history.steps.append({"step": step, "train_loss": round(loss / count, 5)})
            self.recent_loss.zero_()
        since = step - self.saved_step
        due = since > 0 and since % (self.recipe.checkpoint_every or math.inf) == 0
        stepped = (index + 1) % self.recipe.accumulate == 0
        # Not after the last batch: next is the validation, and a checkpoint after it.
        if due and stepped and not self.trainer.is_last_batch:
            self._save()

    def on_validation_epoch_start(self) -> None:
        # Loss, terms of its mean, absolute error, rows: sums, for no row may count for more.
        self.validation_sums = torch.zeros(4, device=self.device)

    def validation_step(self, batch: Batch, index: int) -> None:
        ids, mask, labels = batch
        logits = self(ids, mask)
        predicted = decode(self.head.probabilities(logits).cpu().numpy(), self.recipe.decode)
        error = (torch.from_numpy(predicted).to(labels) - labels).abs().sum()
        terms = self.head.terms(labels, logits.shape[1]).sum()
        loss = self.head.loss(logits, labels) * terms
        sums = torch.stack([loss, terms, error, loss.new_tensor(len(labels))])
        self.validation_sums += sums * is_counted(self.validation_batches[index], self.global_rank)

    def on_validation_epoch_end(self) -> None:
        loss, terms, error, rows = all_gather(self.validation_sums).sum(dim=0).tolist()
        train_loss, batches = all_gather(self.train_loss).mean(dim=0).tolist()
        if not math.isfinite(loss + train_loss):
            raise UserError(
                f"training diverged in epoch {self.current_epoch + 1} (the loss is not finite): "
                "lower train.lr or train.clip"
            )
        epoch, mae = self.current_epoch + 1, error / rows
        self.history.epochs.append(
            {
                "epoch": epoch,
                "train_loss": round(train_loss / batches, 5),
                "validation_loss": round(loss / terms, 5),
                "validation_mae": round(mae, 5),
            }
        )
        self.train_loss.zero_()
        if mae < self.best.mae:
            # Of a model in shards, rank 0 alone gets the weights.
            weights = self.trainer.strategy.lightning_module_state_dict().items()
            self.best = Best(
                epoch,
                mae,
                {
                    name.removeprefix("model."): weight.to("cpu", copy=True)
                    for name, weight in weights
                },
            )
        self.log("validation_mae", mae, prog_bar=True, rank_zero_only=True)
        self.trainer.should_stop = self._patience_is_spent()

    def _patience_is_spent(self) -> bool:
        patience = self.recipe.patience
        return patience is not None and len(self.history.epochs) >= self.best.epoch + patience

    def on_train_epoch_end(self) -> None:
        self._save()

    def _save(self) -> None:
        """Save a checkpoint; after a slow one the next is put off. Rank 0 has the clock."""
        if self.checkpoints is None:
            return
        start = time.monotonic()
        if not self.trainer.strategy.broadcast(start >= self.next_save):
            return
        self.saved_step = self.trainer.global_step
        if is_rank_zero():
            save_checkpoint(self.checkpoints, self.saved_step, self.trainer.save_checkpoint)
        else:
            self.trainer.save_checkpoint(self.checkpoints)  # gives what it has, and writes nothing
        end = time.monotonic()
        self.next_save = end + (end - start) / CHECKPOINT_TIME

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = asdict(self.history)
        checkpoint["best"] = vars(self.best)
        sums = torch.stack([self.train_loss, self.recent_loss])
        checkpoint["sums"] = all_gather(sums).tolist()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.history = History(**checkpoint["history"])
        self.best = Best(**checkpoint["best"])
        self.train_loss, self.recent_loss = torch.tensor(
            checkpoint["sums"][self.global_rank], device=self.device
        )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Lightning's own refuses a fused optimiser under bf16, because of a gradient scaler that
        # only fp16 has.
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer, schedule = new_optimizer(self.model, self.recipe, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fit(
    model: PreTrainedModel,
    train: Tokens,
    validation: Tokens,
    recipe: Train,
    checkpoints: Path | None = None,
) -> History:
    """Fine-tune `model` in place; it ends with the weights of the epoch of least validation MAE.

    Given a folder for its `checkpoints`, its own by `run_key`, a run that was stopped goes on after
    the last of them, and ends as if nothing had happened.

    On several devices every process of the run calls this, and returns; `model` is the trained one
    where `is_rank_zero()`.

    Raises:
        UserError: the recipe asks for hardware that is not there, or the loss became infinite.
    """
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    trainer = new_trainer(recipe, checkpoints)
    if LOSSES[recipe.loss].shared_weight:
        share_weight(model)
    fitted = copy.deepcopy(model) if recipe.strategy == "fsdp" else model  # shards stay shards
    module = FineTuning(fitted, train, validation, recipe, checkpoints)
    try:
        start_together(trainer, module)
        found = find_checkpoint(checkpoints) if checkpoints and is_rank_zero() else None
        last = trainer.strategy.broadcast(found)
        if last:
            print(f"train: goes on after step {step_of(last)}", flush=True)
        trainer.fit(module, ckpt_path=last, weights_only=True)
    except BaseException as error:
        stop_other_ranks(trainer)
        if isinstance(error, SIGTERMException):  # left alone, it would end with status 0
            sys.exit(128 + signal.SIGTERM)
        if isinstance(error, UserError) and not is_rank_zero():
            sys.exit(1)  # rank 0 says why
        raise
    if is_rank_zero():
        model.load_state_dict(module.best.weights)
    if LOSSES[recipe.loss].shared_weight:
        unshare_weight(model)
    model.cpu().eval()
    return module.history
