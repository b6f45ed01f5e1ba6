"""Fine-tuning: one LightningModule, one fit."""

import logging
import math
import re
import signal
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedModel, get_scheduler

from ordinal.batching import Rows, Tokens, evaluation_batches, training_batches
from ordinal.classifier import output_layer, share_weight, unshare_weight
from ordinal.decoding import decode
from ordinal.errors import UserError
from ordinal.hardware import choose_device, choose_precision
from ordinal.losses import LOSSES, class_weights
from ordinal.recipe import Recipe

CURVE_POINTS = 100  # of the loss over the steps
BIAS_RATE = 100  # learning rate of CORAL's biases, in those of all else

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass
class History:
    """The learning curves: one entry an epoch, and one every few steps."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    steps: list[dict[str, float]] = field(default_factory=list)


class PaddedBatches(Dataset[Batch]):
    """Indexed by an array of rows: ids and mask (rows, longest), labels (rows,)."""

    def __init__(self, tokens: Tokens, pad_id: int) -> None:
        self.tokens = tokens
        self.pad_id = pad_id

    def __getitem__(self, rows: Rows) -> Batch:
        ids, mask = self.tokens.pad(rows, self.pad_id)
        labels = self.tokens.labels[rows]
        return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(labels)


class FineTuning(lightning.LightningModule):
    """A classifier in training: loss, validation MAE, AdamW with warm-up and decay."""

    class_weights: Tensor

    def __init__(
        self, model: PreTrainedModel, train: Tokens, validation: Tokens, recipe: Recipe
    ) -> None:
        super().__init__()
        self.model = model
        self.head = LOSSES[recipe.loss]
        self.recipe = recipe
        classes = len(model.config.ordinal["labels"])
        weights = class_weights(torch.from_numpy(train.labels), classes, recipe.class_weights)
        self.register_buffer("class_weights", weights, persistent=False)
        self.history = History()
        self.train_tokens = train
        self.validation_tokens = validation

    def train_dataloader(self) -> DataLoader[Batch]:
        recipe = self.recipe
        epoch = self.trainer.current_epoch
        lengths = self.train_tokens.lengths
        return self._loader(
            self.train_tokens, training_batches(lengths, recipe.batch_size, recipe.seed, epoch)
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        tokens = self.validation_tokens
        return self._loader(tokens, evaluation_batches(tokens.lengths, self.recipe.batch_size))

    def _loader(self, tokens: Tokens, batches: list[Rows]) -> DataLoader[Batch]:
        # The "sampler" yields the rows of whole batches, hence batch_size=None.
        dataset = PaddedBatches(tokens, self.model.config.pad_token_id)
        return DataLoader(dataset, sampler=batches, batch_size=None)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=ids, attention_mask=mask).logits
        return logits

    def on_fit_start(self) -> None:
        # Sums and counts stay on the device: no step waits for a log line.
        self.recent_loss = torch.zeros(2, device=self.device)

    def on_train_epoch_start(self) -> None:
        self.train_loss = torch.zeros(2, device=self.device)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        ids, mask, labels = batch
        loss = self.head.loss(self(ids, mask), labels, self.class_weights[labels])
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
            loss, count = self.recent_loss.tolist()
            self.history.steps.append({"step": step, "train_loss": round(loss / count, 5)})
            self.recent_loss.zero_()

    def on_validation_epoch_start(self) -> None:
        self.validation_sums = torch.zeros(3, device=self.device)  # loss, absolute error, rows

    def validation_step(self, batch: Batch, index: int) -> None:
        ids, mask, labels = batch
        logits = self(ids, mask)
        predicted = decode(self.head.probabilities(logits).cpu().numpy(), self.recipe.decode)
        error = (torch.from_numpy(predicted).to(labels) - labels).abs().sum()
        loss = self.head.loss(logits, labels) * len(labels)
        self.validation_sums += torch.stack([loss, error, loss.new_tensor(len(labels))])

    def on_validation_epoch_end(self) -> None:
        loss, error, rows = self.validation_sums.tolist()
        train_loss, batches = self.train_loss.tolist()
        if not math.isfinite(loss + train_loss):
            raise UserError(
                f"training diverged in epoch {self.current_epoch + 1} (the loss is not finite): "
                "lower train.lr or train.clip"
            )
        self.history.epochs.append(
            {
                "epoch": self.current_epoch + 1,
                "train_loss": round(train_loss / batches, 5),
                "validation_loss": round(loss / rows, 5),
                "validation_mae": round(error / rows, 5),
            }
        )
        self.log("validation_mae", error / rows, prog_bar=True)

    def configure_optimizers(self) -> Any:
        recipe = self.recipe
        optimizer = torch.optim.AdamW(parameter_groups(self.model, recipe))
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


class EpochLines(Callback):
    """One log line an epoch, for where there is no terminal to draw a bar on."""

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        figures = module.history.epochs[-1]
        shown = ", ".join(f"{name} {value:g}" for name, value in figures.items() if name != "epoch")
        print(f"train: epoch {figures['epoch']} of {trainer.max_epochs}: {shown}", flush=True)


def fit(model: PreTrainedModel, train: Tokens, validation: Tokens, recipe: Recipe) -> History:
    """Fine-tune `model` in place; it ends with the weights of the epoch of least validation MAE.

    Raises:
        UserError: the recipe asks for hardware that is not there, or the loss became infinite.
    """
    device = choose_device(recipe.accelerator)
    lightning.seed_everything(recipe.seed, workers=True, verbose=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Padding a batch takes microseconds: worker processes would cost more than they save.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # of Lightning's own making
    if LOSSES[recipe.loss].shared_weight:
        share_weight(model)
    module = FineTuning(model, train, validation, recipe)
    on_terminal = sys.stderr.isatty()
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="validation_mae", save_weights_only=True)
        callbacks: list[Callback] = [best]
        if not on_terminal:
            callbacks.append(EpochLines())
        if recipe.patience is not None:
            callbacks.append(EarlyStopping("validation_mae", patience=recipe.patience))
        trainer = lightning.Trainer(
            accelerator=device.type,
            devices=1,
            precision=choose_precision(recipe.precision, device),
            max_epochs=recipe.epochs,
            accumulate_grad_batches=recipe.accumulate,
            gradient_clip_val=recipe.clip,
            callbacks=callbacks,
            default_root_dir=folder,
            deterministic="warn",
            enable_model_summary=False,
            enable_progress_bar=on_terminal,
            logger=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,  # the order of the batches is new each epoch
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module)
        except SIGTERMException:  # left alone, it would end the process with status 0
            sys.exit(128 + signal.SIGTERM)
        state = torch.load(best.best_model_path, weights_only=True)["state_dict"]
        module.load_state_dict(state)
    if LOSSES[recipe.loss].shared_weight:
        unshare_weight(model)
    model.cpu().eval()
    return module.history
