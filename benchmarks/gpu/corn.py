"""Step 6: cost of coral-pytorch's CORN loss, which selects rows by mask and so waits for the GPU.

It is compared with a form that multiplies by the masks instead, which has the same value.
"""

import statistics
from collections.abc import Callable

import numpy as np
import torch
from coral_pytorch.losses import corn_loss
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.clock import now
from benchmarks.corpora import CLASSES, LABELS
from benchmarks.gpu.record import Record, Sizes
from ordinal.common.params import Train
from ordinal.model.classifier import new_classifier
from ordinal.model.device import pad_multiple
from ordinal.tokenization.batching import training_batches

Loss = Callable[[Tensor, Tensor], Tensor]


def indexed(logits: Tensor, labels: Tensor) -> Tensor:
    loss: Tensor = corn_loss(logits, labels, CLASSES)
    return loss


def masked(logits: Tensor, labels: Tensor) -> Tensor:
    tasks = torch.arange(CLASSES - 1, device=labels.device)
    met = (labels[:, None] >= tasks).to(logits)
    above = (labels[:, None] > tasks).to(logits)
    terms = functional.binary_cross_entropy_with_logits(logits, above, reduction="none")
    return (terms * met).sum() / met.sum()


LOSSES: dict[str, Loss] = {"coral_pytorch": indexed, "masked": masked}


def run(sizes: Sizes, record: Record) -> None:
    torch.manual_seed(0)
    logits = torch.randn(Train().batch_size, CLASSES - 1, device=sizes.device, requires_grad=True)
    labels = torch.randint(CLASSES, (Train().batch_size,), device=sizes.device)
    apart = (indexed(logits, labels) - masked(logits, labels)).abs().item()
    alone = {name: _alone(sizes, loss, logits, labels) for name, loss in LOSSES.items()}
    record.add(
        "one loss, forward and backward, alone: "
        + ", ".join(f"{name} {seconds * 1e3:.2f} ms" for name, seconds in alone.items())
        + f"; they differ by {apart:.1g}",
        alone=alone,
        difference=apart,
    )
    step = _Step(sizes)
    for loss in LOSSES.values():
        step.seconds(loss)  # warm-up
    turns = [[step.seconds(loss) for loss in LOSSES.values()] for _ in range(sizes.repeats + 2)]
    ours, other = (statistics.median(side) for side in zip(*turns, strict=True))
    record.add(
        f"a training step takes {ours * 1e3:.2f} ms, and {other * 1e3:.2f} ms with the masked form:"
        f" {ours / other - 1:+.1%}",
        turns=turns,
        step=ours,
        masked_step=other,
        cost=ours / other - 1,
    )


def _alone(sizes: Sizes, loss: Loss, logits: Tensor, labels: Tensor) -> float:
    for count in (5, sizes.corn_steps):  # the first is a warm-up
        start = now(sizes.device)
        for _ in range(count):
            loss(logits, labels).backward()
        seconds = (now(sizes.device) - start) / count
    return seconds


class _Step:
    """Training steps on the same batches, with the model, precision and optimiser of the recipe."""

    def __init__(self, sizes: Sizes) -> None:
        self.device = sizes.device
        self.bf16 = sizes.precision == "bf16-mixed"
        model = new_classifier(sizes.shape, LABELS, "corn", attention_dropout=0.0)
        self.model = model.to(sizes.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        size = Train().batch_size
        tokens = sizes.tokens("hotel", sizes.corn_steps * size, sizes.shape)
        pad_id, multiple = model.config.pad_token_id, pad_multiple(sizes.device)
        self.batches = [
            [*map(self._move, (*tokens.pad(rows, pad_id, multiple), tokens.labels[rows]))]
            for rows in training_batches(tokens.lengths, size, seed=1, epoch=0)
        ]

    def _move(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def seconds(self, loss: Loss) -> float:
        """Return the mean seconds of a step."""
        start = now(self.device)
        for ids, mask, labels in self.batches:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                logits = self.model(input_ids=ids, attention_mask=mask).logits
                value = loss(logits.float(), labels)
            value.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
        return (now(self.device) - start) / len(self.batches)
