"""Training speed: the tutorial's loop compared with ours, with the same model and rows.

Ours is `fit`, as the train stage calls it. The rows have the lengths of real reviews and random
words. `make bench` measures the CPU with MiniLM, which `dvc repro pretrained` downloads.
`make bench-gpu` measures a GPU with a model of DistilBERT's shape and random weights, which do not
change the speed. The ratios are printed first.
"""

import contextlib
import io
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from lightning.pytorch.callbacks import Callback
from transformers import DistilBertConfig, DistilBertModel, PreTrainedModel
from transformers.utils import logging

from benchmarks.child import in_child
from benchmarks.clock import matrix_rate, now, training_flops
from benchmarks.corpora import CLASSES, hotel_lengths, random_tokens, short_lengths
from benchmarks.growth import run_stage
from benchmarks.tutorial import BATCH, tutorial_speed
from ordinal.common.files import write_json
from ordinal.common.params import Train
from ordinal.common.types import Precision, Rows
from ordinal.model.classifier import new_classifier
from ordinal.model.device import has_bf16
from ordinal.tokenization.batching import padding_share, training_batches
from ordinal.tokenization.tokenizer import TOKENIZER_FILES
from ordinal.tokenization.tokens import SCHEMA, Tokens
from ordinal.training.fine_tuning import fit

ROOT = Path(__file__).parent.parent
PRETRAINED = ROOT / "data/pretrained"
LABELS = [str(label + 1) for label in range(CLASSES)]
ALL_ROWS = 4900  # the tutorial's training rows, for which the padding is counted
CORPORA = {"hotel": hotel_lengths, "short": short_lengths}
PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class Setting:
    """Sizes of a measurement."""

    device: torch.device
    encoder: Path
    rows: dict[str, int]
    """Rows of each corpus that our side trains on."""
    steps: int
    """Steps of the tutorial's loop, which all take the same time."""
    epochs: int
    """Epochs of our side; the last one is timed."""
    sizes: tuple[int, ...]
    """Batch sizes of the table."""
    stage: tuple[str, int]
    """Corpus and rows of the whole train stage."""
    repeats: int = 3


class Clock(Callback):
    """Time the training batches of the last epoch."""

    def on_train_epoch_start(self, trainer, module) -> None:  # noqa: D102
        self.start = now(module.device)

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:  # noqa: D102
        if trainer.is_last_batch:
            self.seconds = now(module.device) - self.start


def classifier(setting: Setting) -> PreTrainedModel:
    return new_classifier(setting.encoder, LABELS, Train().loss, attention_dropout=0.0)


def our_speed(setting: Setting, tokens: Tokens, recipe: Train) -> float:
    """Tokens per second of `fit`, not counting the padding."""
    accelerator = "gpu" if setting.device.type == "cuda" else "cpu"
    recipe = recipe.model_copy(update={"epochs": setting.epochs, "accelerator": accelerator})
    model, clock = classifier(setting), Clock()
    few = random_tokens(np.full(BATCH, 8), model.config.vocab_size)
    with contextlib.redirect_stdout(io.StringIO()):
        fit(model, tokens, few, recipe, callbacks=[clock])
    return float(tokens.lengths.sum() / clock.seconds)


def stage_seconds(setting: Setting) -> float:
    """Seconds of the train stage with the default recipe, including the start of its process."""
    corpus, rows = setting.stage
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "params.yaml", folder)
        (folder / "data/raw").mkdir(parents=True)
        (folder / "data/tokenized").mkdir()
        (folder / "data/pretrained").symlink_to(setting.encoder)
        for name in TOKENIZER_FILES:
            shutil.copy(PRETRAINED / name, folder / "data/tokenized")
        facts = {"labels": LABELS, "name": corpus, "synthetic": True, "origin": "", "licence": ""}
        write_json(folder / "data/raw/facts.json", facts)
        vocabulary = classifier(setting).config.vocab_size
        for part, count in (("train", rows), ("validation", rows // 7)):
            tokens = random_tokens(CORPORA[corpus](count), vocabulary)
            write_arrow(folder / f"data/tokenized/{part}.arrow", tokens)
        return run_stage(folder, "train")


def write_arrow(path: Path, tokens: Tokens) -> None:
    ids = pa.LargeListArray.from_arrays(tokens.offsets, tokens.ids)
    labels = pa.array(tokens.labels, pa.int32())
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
        writer.write_batch(pa.record_batch([ids, labels], SCHEMA))


def sample(lengths: Rows, rows: int) -> Rows:
    """The lengths of about so many rows, in batches evenly spread from short to long.

    Rows drawn one by one would differ more in length than those of a whole epoch, so that their
    batches would have more padding.
    """
    batches = training_batches(lengths, BATCH, seed=1, epoch=0)
    batches.sort(key=lambda batch: int(lengths[batch].max()))
    every = len(lengths) // rows
    return lengths[np.concatenate(batches[every // 2 :: every])]


def compare(setting: Setting, corpus: str) -> None:
    """Print the ratio of both sides at the tutorial's batch size, then a table of our side."""
    whole = CORPORA[corpus](ALL_ROWS)
    lengths = sample(whole, setting.rows[corpus])
    vocabulary = classifier(setting).config.vocab_size
    tokens, all_tokens = (random_tokens(given, vocabulary) for given in (lengths, whole))
    recipe = Train(batch_size=BATCH, precision="32-true")
    tutorial = (setting.device, setting.encoder, all_tokens, setting.steps)
    # The tutorial's loop has its own process, because `fit` makes torch deterministic for good.
    turns = [
        (our_speed(setting, tokens, recipe), in_child(tutorial_speed, *tutorial)[0])
        for _ in range(setting.repeats)
    ]
    speed, there = (statistics.median(side) for side in zip(*turns, strict=True))
    here = speed / whole.mean()  # the mean length of the sample differs a little
    padding = padding_share(whole, training_batches(whole, BATCH, seed=1, epoch=0))
    print(f"{corpus} texts, {whole.mean():.0f} tokens on average, the longest {whole.max()}")
    print(f"  {here / there:.1f} times the tutorial's samples/s, both in batches of {BATCH}, fp32")
    print(f"  {here:.1f} samples/s here, {there:.2f} there; medians of {setting.repeats}")
    print(f"  padding {padding:.1%} of the tokens here, {1 - whole.mean() / whole.max():.0%} there")
    table(setting, tokens, whole.mean())


def table(setting: Setting, tokens: Tokens, mean: float) -> None:
    """Print the speed of each batch size and precision, for texts of that `mean` length."""
    work = training_flops(classifier(setting), tokens.lengths) / tokens.lengths.sum()
    in_bf16 = has_bf16(setting.device)
    best = matrix_rate(setting.device, torch.bfloat16 if in_bf16 else torch.float32)
    print(f"  best {'bf16' if in_bf16 else 'fp32'} matrix rate {best / 1e12:.2f} TFLOP/s")
    print("  | batch | precision | samples/s | tokens/s | share of the matrix rate |")
    print("  |---|---|---|---|---|")
    for size in setting.sizes:
        for precision in PRECISIONS if in_bf16 else PRECISIONS[:1]:
            speed = our_speed(setting, tokens, Train(batch_size=size, precision=precision))
            print(
                f"  | {size} | {precision} | {speed / mean:.1f} | {speed:.0f} "
                f"| {speed * work / best:.0%} |",
                flush=True,
            )


def measure(setting: Setting) -> None:
    """Print all measurements."""
    cpu = f"{torch.get_num_threads()} threads"
    name = torch.cuda.get_device_name() if setting.device.type == "cuda" else cpu
    print(f"training, {name}, torch {torch.__version__}")
    for corpus in setting.rows:
        compare(setting, corpus)
    corpus, rows = setting.stage
    seconds = stage_seconds(setting)
    print(f"the train stage, {Train().epochs} epochs over {rows} {corpus} texts: {seconds:.0f} s")


def main() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if "--gpu" not in sys.argv:
        rows = {"hotel": 240, "short": 600}
        cpu = torch.device("cpu")
        measure(Setting(cpu, PRETRAINED, rows, 2, 1, (12, 16, 32), ("short", 1750)))
        return
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU here")
    with tempfile.TemporaryDirectory() as folder:
        DistilBertModel(DistilBertConfig()).save_pretrained(folder)
        rows, sizes = dict.fromkeys(CORPORA, ALL_ROWS), (12, 16, 32, 64, 128, 256)
        gpu = torch.device("cuda")
        measure(Setting(gpu, Path(folder), rows, 100, 2, sizes, ("hotel", ALL_ROWS)))


if __name__ == "__main__":
    main()
