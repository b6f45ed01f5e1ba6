"""Speed of Hugging Face `Trainer`, which a user would choose instead of this project.

It trains the same model in the same batches and precision, with dynamic padding, batches of similar
lengths, gradient clipping and a fused AdamW. All else has the defaults of `Trainer`.
"""

import tempfile
from dataclasses import fields
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

from benchmarks.clock import now
from benchmarks.corpora import LABELS
from ordinal.common.choices import Precision
from ordinal.model.classifier import new_classifier
from ordinal.model.device import pad_multiple
from ordinal.tokenization.tokens import Tokens


class EpochClock(TrainerCallback):
    """Time the last epoch."""

    def __init__(self, device: torch.device, epochs: int) -> None:
        self.device = device
        self.epochs = epochs
        self.begun = 0
        self.start = self.seconds = 0.0

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self.begun += 1
        self.start = now(self.device)

    def on_epoch_end(self, args, state, control, **kwargs) -> None:
        if self.begun == self.epochs:
            self.seconds = now(self.device) - self.start


def trainer_speed(
    device: torch.device,
    encoder: Path,
    tokens: Tokens,
    batch_size: int,
    precision: Precision,
    epochs: int,
    attention_dropout: float | None = 0.0,
) -> float:
    """Return the tokens per second of the last epoch, not counting the padding.

    Args:
        device: device to train on.
        encoder: folder of the encoder and its tokenizer.
        tokens: training rows.
        batch_size: rows per step.
        precision: `32-true` or `bf16-mixed`.
        epochs: passes over the rows; the last one is timed.
        attention_dropout: as in `Train`; None keeps the encoder's own.
    """
    logging.set_verbosity_error()
    model = new_classifier(encoder, LABELS, "cross_entropy", attention_dropout=attention_dropout)
    rows = [
        {"input_ids": ids, "label": label}
        for ids, label in zip(_ids(tokens), tokens.labels.tolist(), strict=True)
    ]
    tokenizer = AutoTokenizer.from_pretrained(encoder, local_files_only=True)
    clock = EpochClock(device, epochs)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            _arguments(folder, device, batch_size, precision, epochs),
            DataCollatorWithPadding(tokenizer, pad_to_multiple_of=pad_multiple(device)),
            rows,
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return float(tokens.lengths.sum() / clock.seconds)


def _ids(tokens: Tokens) -> list[list[int]]:
    bounds = zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    return [tokens.ids[start:end].tolist() for start, end in bounds]


def _arguments(
    folder: str, device: torch.device, batch_size: int, precision: Precision, epochs: int
) -> TrainingArguments:
    # Renamed in transformers 5.
    renamed = "train_sampling_strategy" in {field.name for field in fields(TrainingArguments)}
    grouped = {"train_sampling_strategy": "group_by_length"} if renamed else {}
    return TrainingArguments(
        folder,
        per_device_train_batch_size=batch_size,
        num_train_epochs=epochs,
        bf16=precision == "bf16-mixed",
        optim="adamw_torch_fused",
        use_cpu=device.type == "cpu",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **(grouped or {"group_by_length": True}),
    )
