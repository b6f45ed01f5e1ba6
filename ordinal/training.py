"""Fine-tuning: one LightningModule, one fit."""

import copy
import logging
import math
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, get_scheduler

from ordinal.batching import Rows, Tokens, batch_seed, evaluation_batches, training_batches
from ordinal.checkpoints import find_checkpoint, save_checkpoint, step_of
from ordinal.classifier import output_layer, share_weight, unshare_weight
from ordinal.decoding import decode
from ordinal.distributed import (
    KeepSignals,
    choose_environment,
    choose_strategy,
    is_counted,
    leads,
    of_all_ranks,
    shard_model,
    share,
    start_together,
    stop_followers,
    weight_of_share,
)
from ordinal.errors import UserError
from ordinal.hardware import (
    batch_tokens,
    choose_device,
    choose_precision,
    has_bf16,
    pad_multiple,
)
from ordinal.losses import LOSSES, class_weights
from ordinal.recipe import Recipe

CURVE_POINTS = 100  # of the loss over the steps
BIAS_RATE = 100  # learning rate of CORAL's biases, in those of all else
CHECKPOINT_TIME = 0.05  # the largest share of the time that goes into checkpoints

Batch = tuple[Tensor, Tensor, Tensor]


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
    """Indexed by an array of rows: ids and mask (rows, width), labels (rows,)."""

    def __init__(self, tokens: Tokens, pad_id: int, multiple: int) -> None:
        self.tokens = tokens
        self.pad_id = pad_id
        self.multiple = multiple

    def __getitem__(self, rows: Rows) -> Batch:
        ids, mask = self.tokens.pad(rows, self.pad_id, self.multiple)
        labels = self.tokens.labels[rows]
        return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(labels)


class FineTuning(lightning.LightningModule):
    """A classifier in training: loss, validation MAE, AdamW with warm-up and decay.

    What the rest of a run depends on is in its checkpoint: weights, best weights, curves and sums
    here; optimiser, schedule and counters by Lightning. The rows and the randomness of a batch
    depend on its place alone, and on the rank: of several, each takes its share of every batch.
    """

    class_weights: Tensor

    def __init__(
        self,
        model: PreTrainedModel,
        train: Tokens,
        validation: Tokens,
        recipe: Recipe,
        checkpoints: Path | None,
    ) -> None:
        super().__init__()
        self.model = model
        self.head = LOSSES[recipe.loss]
        self.recipe = recipe
        classes = len(model.config.ordinal["labels"])
        labels = torch.from_numpy(train.labels)
        weights = class_weights(labels, classes, recipe.class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.row_weights = weights.double()[labels] * self.head.terms(
            labels, self.head.outputs(classes)
        )
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
        return self._loader(self.train_tokens, Remaining(self._shares(self.batches), done))

    def val_dataloader(self) -> DataLoader[Batch]:
        tokens = self.validation_tokens
        self.validation_batches = evaluation_batches(tokens.lengths, batch_tokens(self.device))
        return self._loader(tokens, self._shares(self.validation_batches))

    def _shares(self, batches: list[Rows]) -> list[Rows]:
        return [share(batch, self.global_rank, self.trainer.world_size) for batch in batches]

    def _loader(self, tokens: Tokens, batches: list[Rows] | Remaining) -> DataLoader[Batch]:
        # The "sampler" yields the rows of whole batches, hence batch_size=None. From pinned memory
        # a batch is copied to a GPU while that still computes the one before.
        dataset = PaddedBatches(tokens, self.model.config.pad_token_id, pad_multiple(self.device))
        pinned = self.device.type == "cuda"
        return DataLoader(dataset, sampler=batches, batch_size=None, pin_memory=pinned)

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
        weight = weight_of_share(self.batches[index], rank, ranks, self.row_weights)
        loss = weight * self.head.loss(self(ids, mask), labels, self.class_weights[labels])
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
            loss, count = of_all_ranks(self.recent_loss).mean(dim=0).tolist()
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
        loss, terms, error, rows = of_all_ranks(self.validation_sums).sum(dim=0).tolist()
        train_loss, batches = of_all_ranks(self.train_loss).mean(dim=0).tolist()
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
        if leads():
            save_checkpoint(self.checkpoints, self.saved_step, self.trainer.save_checkpoint)
        else:
            self.trainer.save_checkpoint(self.checkpoints)  # gives what it has, and writes nothing
        end = time.monotonic()
        self.next_save = end + (end - start) / CHECKPOINT_TIME

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["history"] = asdict(self.history)
        checkpoint["best"] = vars(self.best)
        sums = torch.stack([self.train_loss, self.recent_loss])
        checkpoint["sums"] = of_all_ranks(sums).tolist()

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
        recipe = self.recipe
        # Fused: one pass over the weights, where the others make a dozen, which cost a batch of
        # short texts nearly half of its time.
        optimizer = torch.optim.AdamW(parameter_groups(self.model, recipe), fused=True)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = get_scheduler(recipe.schedule, optimizer, round(recipe.warmup * steps), steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def parameter_groups(model: PreTrainedModel, recipe: Recipe) -> list[dict[str, Any]]:
    """The optimiser's groups: a rate for each depth, and weight decay for matrices alone.

    The rate falls by `layer_decay` from layer to layer downwards (Howard and Ruder 2018, section
    3.2, discriminative fine-tuning): what is near the text was learned from more of it.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    layers = model.config.num_hidden_layers
    output = output_layer(model)
    for name, weight in model.named_parameters():
        rate = recipe.lr * recipe.layer_decay ** depth(name, layers)
        if weight is output.bias and LOSSES[recipe.loss].shared_weight:
            rate *= BIAS_RATE
        decay = recipe.weight_decay if weight.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(weight)
    return [
        {"params": weights, "lr": rate, "weight_decay": decay}
        for (rate, decay), weights in groups.items()
    ]


def depth(name: str, layers: int) -> int:
    """How far below the output a weight stands, by its name: 0 is the head, the top layer is 1."""
    if "embed" in name:
        return layers + 1
    number = re.search(r"\.(\d+)\.", name)
    return layers - int(number[1]) if number else 0


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


def fit(
    model: PreTrainedModel,
    train: Tokens,
    validation: Tokens,
    recipe: Recipe,
    checkpoints: Path | None = None,
) -> History:
    """Fine-tune `model` in place; it ends with the weights of the epoch of least validation MAE.

    Given a folder for its `checkpoints`, its own by `run_key`, a run that was stopped goes on after
    the last of them, and ends as if nothing had happened.

    On several devices every process of the run calls this, and returns; `model` is the trained one
    where `leads()`.

    Raises:
        UserError: the recipe asks for hardware that is not there, or the loss became infinite.
    """
    device = choose_device(recipe.accelerator)
    environment = choose_environment(recipe, device)
    precision = choose_precision(recipe.precision, device)
    if precision == "bf16-mixed" and not has_bf16(device) and leads():
        print(
            f"train: this {device.type} has no bf16, and is slow at it: 32-true is faster",
            flush=True,
        )
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    # Padding a batch takes microseconds: worker processes would cost more than they save.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # of Lightning's own making
    warnings.filterwarnings("ignore", message=".*broadcast_buffers.*")  # its new name is too new
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # it is the same on all ranks
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # ours is
    if LOSSES[recipe.loss].shared_weight:
        share_weight(model)
    fitted = copy.deepcopy(model) if recipe.strategy == "fsdp" else model  # shards stay shards
    module = FineTuning(fitted, train, validation, recipe, checkpoints)
    on_terminal = sys.stderr.isatty()
    trainer = lightning.Trainer(
        accelerator=device.type,
        devices=recipe.devices,
        num_nodes=recipe.num_nodes,
        strategy=choose_strategy(recipe),
        precision=precision,
        max_epochs=recipe.epochs,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip,
        callbacks=[KeepSignals(), *([] if on_terminal else [EpochLines()])],
        default_root_dir=checkpoints,
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
    try:
        start_together(trainer, module)
        found = find_checkpoint(checkpoints) if checkpoints and leads() else None
        last = trainer.strategy.broadcast(found)
        if last:
            print(f"train: goes on after step {step_of(last)}", flush=True)
        trainer.fit(module, ckpt_path=last, weights_only=True)
    except BaseException as error:
        stop_followers(trainer)
        if isinstance(error, SIGTERMException):  # left alone, it would end with status 0
            sys.exit(128 + signal.SIGTERM)
        if isinstance(error, UserError) and not leads():
            sys.exit(1)  # rank 0 says why
        raise
    if leads():
        model.load_state_dict(module.best.weights)
    if LOSSES[recipe.loss].shared_weight:
        unshare_weight(model)
    model.cpu().eval()
    return module.history
