"""Training speed: the tutorial's loop against ours, of the same model, on the same rows.

The tutorial's loop, rewritten without Lightning: every review padded to the longest of its split,
batches of 12, fp32, a DataLoader over a `datasets` object, coral-pytorch's loss, Adam. Ours is
`fit` as the train stage calls it. Rows have real reviews' lengths and random words, which cost the
same.

`make bench` measures the CPU with MiniLM (`dvc repro pretrained` brings it), `make bench-gpu` a GPU
with DistilBERT's shape: how fast a model is does not depend on its weights. Prints ratios first.
With --compile, after --gpu or alone, it measures what torch.compile brings instead.
"""

import contextlib
import io
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import datasets
import numpy as np
import pyarrow as pa
import torch
import yaml
from coral_pytorch.dataset import corn_label_from_logits
from coral_pytorch.losses import corn_loss
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader
from torchmetrics import MeanAbsoluteError
from transformers import (
    AutoModelForSequenceClassification,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedModel,
)
from transformers.utils import logging

from benchmarks.child import in_child
from benchmarks.corpora import (
    CLASSES,
    hotel_lengths,
    random_tokens,
    short_lengths,
)
from benchmarks.growth import run_stage
from ordinal.common.files import write_json
from ordinal.common.params import Train
from ordinal.common.types import Precision, Rows
from ordinal.model.classifier import new_classifier
from ordinal.model.device import has_bf16
from ordinal.tokenization.batching import padding_share, training_batches
from ordinal.tokenization.tokenizer import TOKENIZER_FILES
from ordinal.tokenization.tokens import SCHEMA, Tokens
from ordinal.training.fine_tuning import FineTuning, fit

ROOT = Path(__file__).parent.parent
PRETRAINED = ROOT / "data/pretrained"
LABELS = [str(label + 1) for label in range(CLASSES)]
BATCH = 12  # the tutorial's
ALL_ROWS = 4900  # the tutorial's training rows: what the padding is counted on
PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class Setting:
    """What to measure, and how much of it."""

    device: torch.device
    encoder: Path
    rows: dict[str, int]
    """Of each corpus, as many as one turn of ours trains on."""
    steps: int
    """Of the tutorial's loop in a turn: all of them cost the same."""
    epochs: int
    """Of ours in a turn; the last is timed."""
    sizes: tuple[int, ...]
    """Batch sizes of the table."""
    stage: tuple[str, int]
    """Corpus and rows of the whole train stage."""
    repeats: int = 3


CORPORA = {"hotel": hotel_lengths, "short": short_lengths}


class Clock(Callback):
    """Times the training batches of the last epoch."""

    def on_train_epoch_start(self, trainer, module) -> None:  # noqa: D102
        self.start = now(module.device)

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:  # noqa: D102
        if trainer.is_last_batch:
            self.seconds = now(module.device) - self.start


def now(device: torch.device) -> float:
    """Seconds, once all that the device was given is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def ours(setting: Setting, tokens: Tokens, recipe: Train, compiled: bool = False) -> float:
    """Tokens a second of `fit`, without the padding."""
    accelerator = "gpu" if setting.device.type == "cuda" else "cpu"
    recipe = recipe.model_copy(update={"epochs": setting.epochs, "accelerator": accelerator})
    model = new_classifier(setting.encoder, LABELS, recipe)
    if compiled:
        model.compile(dynamic=True)
    few = random_tokens(np.full(BATCH, 8), model.config.vocab_size)
    clock = Clock()
    with (
        patch.object(FineTuning, "configure_callbacks", lambda _: [clock]),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        fit(model, tokens, few, recipe)
    return float(tokens.lengths.sum() / clock.seconds)


def tutorials(setting: Setting, tokens: Tokens) -> float:
    """Samples a second of the tutorial's loop."""
    _be_quiet()
    device = setting.device
    model = AutoModelForSequenceClassification.from_pretrained(
        setting.encoder, num_labels=CLASSES, dtype=torch.float32
    )
    model.to(device).train()
    ids, mask = tokens.pad(np.arange(len(tokens)), model.config.pad_token_id)
    columns = {"input_ids": ids, "attention_mask": mask, "label": tokens.labels}
    data = datasets.Dataset.from_dict(columns).with_format("torch")
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, drop_last=True, num_workers=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5)
    error = MeanAbsoluteError().to(device)
    steps = islice(_forever(loader), setting.steps + 1)
    for step, batch in enumerate(steps):
        if step == 1:  # the first warms up
            start = now(device)
        ids, mask, labels = (batch[name].to(device) for name in columns)
        logits = model(input_ids=ids, attention_mask=mask, labels=labels).logits
        loss = corn_loss(logits, labels, CLASSES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        error(corn_label_from_logits(logits), labels)
    return setting.steps * BATCH / (now(device) - start)


def _forever(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    while True:
        yield from loader


def matrix_rate(device: torch.device, kind: torch.dtype) -> float:
    """The most operations a second of a product of two square matrices, of several sizes."""
    sizes = (4096, 8192, 16384) if device.type == "cuda" else (512, 1024, 2048)
    rates = []
    for size in sizes:
        left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
        for _ in range(5):
            start = now(device)
            left @ right
            rates.append(2 * size**3 / (now(device) - start))
    return max(rates[1:])


def training_flops(model: nn.Module, lengths: Rows) -> float:
    """Operations to train on rows of these lengths once, forward and backward; padding is no work.

    2 for each weight of the layers and token, 4 · width for each layer and pair of tokens (their
    product, and the weighted mean), and the backward pass twice the forward. The head, once a row,
    is left out.
    """
    config = model.config
    weights = sum(
        layer.weight.numel()
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and ".layer." in name
    )
    pairs = 4 * config.num_hidden_layers * config.hidden_size
    counts = lengths.astype(np.float64)
    return float(3 * (2 * weights * counts + pairs * counts**2).sum())


def stage_seconds(setting: Setting) -> float:
    """The train stage with the default recipe: start of its process to the model on disk."""
    corpus, rows = setting.stage
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        (folder / "data/raw").mkdir(parents=True)
        (folder / "data/tokenized").mkdir()
        (folder / "data/pretrained").symlink_to(setting.encoder)
        for name in TOKENIZER_FILES:
            shutil.copy(PRETRAINED / name, folder / "data/tokenized")
        facts = {"labels": LABELS, "name": corpus, "synthetic": True, "origin": "", "licence": ""}
        write_json(folder / "data/raw/facts.json", facts)
        vocabulary = new_classifier(setting.encoder, LABELS, Train()).config.vocab_size
        for part, count in (("train", rows), ("validation", rows // 7)):
            tokens = random_tokens(CORPORA[corpus](count), vocabulary)
            ids = pa.LargeListArray.from_arrays(tokens.offsets, tokens.ids)
            labels = pa.array(tokens.labels, pa.int32())
            path = folder / f"data/tokenized/{part}.arrow"
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
                writer.write_batch(pa.record_batch([ids, labels], SCHEMA))
        return run_stage(folder, "train")


def sample(lengths: Rows, rows: int) -> Rows:
    """The lengths of about so many rows, of batches evenly spread over all from short to long.

    Rows drawn one by one would be further apart in length than in a whole epoch, and more padded.
    """
    batches = training_batches(lengths, BATCH, seed=1, epoch=0)
    batches.sort(key=lambda batch: int(lengths[batch].max()))
    every = len(lengths) // rows
    return lengths[np.concatenate(batches[every // 2 :: every])]


def compare(setting: Setting, corpus: str) -> None:
    """Print the ratio of both sides at the tutorial's batch size, then a table of ours."""
    whole = CORPORA[corpus](ALL_ROWS)
    lengths = sample(whole, setting.rows[corpus])
    config = new_classifier(setting.encoder, LABELS, Train()).config
    tokens, all_tokens = (random_tokens(given, config.vocab_size) for given in (lengths, whole))
    recipe = Train(batch_size=BATCH, precision="32-true")
    # In a process of its own, as what `fit` has set would make it faster.
    turns = [
        (ours(setting, tokens, recipe), in_child(tutorials, setting, all_tokens)[0])
        for _ in range(setting.repeats)
    ]
    speed, there = (statistics.median(side) for side in zip(*turns, strict=True))
    here = speed / whole.mean()  # the sample's mean length is not quite that
    padding = padding_share(whole, training_batches(whole, BATCH, seed=1, epoch=0))
    print(f"{corpus} texts, {whole.mean():.0f} tokens on average, the longest {whole.max()}")
    print(f"  {here / there:.1f} times the tutorial's samples/s, both in batches of {BATCH}, fp32")
    print(f"  {here:.1f} samples/s here, {there:.2f} there; medians of {setting.repeats}")
    print(f"  padding {padding:.1%} of the tokens here, {1 - whole.mean() / whole.max():.0%} there")
    table(setting, tokens, whole.mean())


def table(setting: Setting, tokens: Tokens, mean: float) -> None:
    """Print the speed of each batch size and precision, for texts of that `mean` length."""
    model: PreTrainedModel = new_classifier(setting.encoder, LABELS, Train())
    work = training_flops(model, tokens.lengths) / tokens.lengths.sum()
    in_bf16 = has_bf16(setting.device)
    best = matrix_rate(setting.device, torch.bfloat16 if in_bf16 else torch.float32)
    print(f"  best {'bf16' if in_bf16 else 'fp32'} matrix rate {best / 1e12:.2f} TFLOP/s")
    print("  | batch | precision | samples/s | tokens/s | share of the matrix rate |")
    print("  |---|---|---|---|---|")
    for size in setting.sizes:
        for precision in PRECISIONS if in_bf16 else PRECISIONS[:1]:
            speed = ours(setting, tokens, Train(batch_size=size, precision=precision))
            print(
                f"  | {size} | {precision} | {speed / mean:.1f} | {speed:.0f} "
                f"| {speed * work / best:.0%} |",
                flush=True,
            )


def compare_compiled(setting: Setting) -> None:
    """Print what torch.compile brings in the second epoch, and what it costs before."""
    tell(setting)
    vocabulary = new_classifier(setting.encoder, LABELS, Train()).config.vocab_size
    for corpus, rows in setting.rows.items():
        tokens = random_tokens(sample(CORPORA[corpus](ALL_ROWS), rows), vocabulary)
        speeds, seconds = [], []
        for compiled in (False, True):
            start = time.perf_counter()
            speeds.append(ours(replace(setting, epochs=2), tokens, Train(), compiled))
            seconds.append(time.perf_counter() - start)
        print(
            f"{corpus} texts: compiled, {speeds[1] / speeds[0]:.2f} times the samples/s; "
            f"two epochs over {len(tokens)} take {seconds[0]:.0f} s without, {seconds[1]:.0f} with",
            flush=True,
        )


def tell(setting: Setting) -> None:
    """Print on what it is measured."""
    cpu = f"{torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name() if setting.device.type == "cuda" else cpu
    print(f"training, {name}, torch {torch.__version__}")


def measure(setting: Setting) -> None:
    """Print all but what torch.compile brings."""
    tell(setting)
    for corpus in setting.rows:
        compare(setting, corpus)
    corpus, rows = setting.stage
    seconds = stage_seconds(setting)
    print(f"the train stage, {Train().epochs} epochs over {rows} {corpus} texts: {seconds:.0f} s")


def _be_quiet() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()


def main() -> None:
    _be_quiet()
    show = compare_compiled if "--compile" in sys.argv else measure
    if "--gpu" not in sys.argv:
        rows = {"hotel": 240, "short": 600}
        cpu = torch.device("cpu")
        show(Setting(cpu, PRETRAINED, rows, 2, 1, (12, 16, 32), ("short", 1750)))
        return
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU here")
    with tempfile.TemporaryDirectory() as folder:
        DistilBertModel(DistilBertConfig()).save_pretrained(folder)
        rows, sizes = dict.fromkeys(CORPORA, ALL_ROWS), (12, 16, 32, 64, 128, 256)
        gpu = torch.device("cuda")
        show(Setting(gpu, Path(folder), rows, 100, 2, sizes, ("hotel", ALL_ROWS)))


if __name__ == "__main__":
    main()
