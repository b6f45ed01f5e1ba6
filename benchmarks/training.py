"""Training speed on a CPU: ours, Hugging Face Trainer and the tutorial's loop, with the same model.

Ours is `fit`, as the train stage calls it. The rows have the lengths of real reviews and random
words. All three run in turns. `make bench` measures MiniLM, which `dvc repro pretrained` downloads,
and prints the ratios first. `make bench-gpu` measures a GPU.
"""

import contextlib
import io
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from transformers import PreTrainedModel
from transformers.utils import logging

from benchmarks.child import in_child
from benchmarks.clock import matrix_rate, now, training_flops
from benchmarks.corpora import LABELS, hotel_lengths, random_tokens, short_lengths
from benchmarks.growth import ROOT, run_stage
from benchmarks.stage import new_training
from benchmarks.trainer import trainer_speed
from benchmarks.tutorial import BATCH, tutorial_speed
from ordinal.common.choices import Precision
from ordinal.common.params import Train
from ordinal.common.types import Rows
from ordinal.model.classifier import new_classifier
from ordinal.model.device import has_bf16
from ordinal.tokenization.batching import padding_share, training_batches
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit

PRETRAINED = ROOT / "data/pretrained"
CPU = torch.device("cpu")
ALL_ROWS = 4900  # the tutorial's training rows, for which the padding is counted
CORPORA = {"hotel": hotel_lengths, "short": short_lengths}
PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class Setting:
    """Sizes of a measurement."""

    encoder: Path
    rows: dict[str, int]
    """Rows of each corpus that ours and Trainer train on."""
    steps: int
    """Steps of the tutorial's loop, which all take the same time."""
    sizes: tuple[int, ...]
    """Batch sizes of the table."""
    stage: tuple[str, int]
    """Corpus and rows of the whole train stage."""
    repeats: int = 3


class Clock(Callback):
    """Time the training batches of each epoch."""

    def __init__(self) -> None:
        self.start = 0.0
        self.seconds: list[float] = []

    def on_train_epoch_start(self, trainer, module) -> None:
        self.start = now(module.device)

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        if trainer.is_last_batch:
            self.seconds.append(now(module.device) - self.start)


def classifier(encoder: Path) -> PreTrainedModel:
    return new_classifier(encoder, LABELS, Train().loss, attention_dropout=0.0)


def epoch_seconds(
    device: torch.device, encoder: Path, tokens: Tokens, recipe: Train, *callbacks: Callback
) -> list[float]:
    """Seconds of the training batches of each epoch of `fit`."""
    accelerator = "gpu" if device.type == "cuda" else "cpu"
    recipe = recipe.model_copy(update={"accelerator": accelerator})
    model = new_classifier(encoder, LABELS, recipe.loss, attention_dropout=recipe.attention_dropout)
    clock = Clock()
    few = random_tokens(np.full(BATCH, 8), model.config.vocab_size)
    with contextlib.redirect_stdout(io.StringIO()):
        fit(model, tokens, few, recipe, callbacks=[clock, *callbacks])
    return clock.seconds


def our_speed(device: torch.device, encoder: Path, tokens: Tokens, recipe: Train) -> float:
    """Tokens per second of the last epoch of `fit`, not counting the padding."""
    return float(tokens.lengths.sum() / epoch_seconds(device, encoder, tokens, recipe)[-1])


def stage_seconds(setting: Setting) -> float:
    """Seconds of the train stage with the default recipe, including the start of its process."""
    corpus, rows = setting.stage
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        new_training(folder, setting.encoder, CORPORA[corpus](rows), CORPORA[corpus](rows // 7))
        return run_stage(folder, "train")


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
    """Print the ratios of the three sides at the tutorial's batch size, then a table of ours."""
    whole = CORPORA[corpus](ALL_ROWS)
    lengths = sample(whole, setting.rows[corpus])
    vocabulary = classifier(setting.encoder).config.vocab_size
    tokens, all_tokens = (random_tokens(given, vocabulary) for given in (lengths, whole))
    recipe = Train(epochs=1, batch_size=BATCH, precision="32-true")
    # Both others have their own process, because `fit` makes torch deterministic for good.
    peer = (CPU, setting.encoder, tokens, BATCH, recipe.precision, recipe.epochs)
    tutorial = (CPU, setting.encoder, all_tokens, setting.steps)
    turns = [
        (
            our_speed(CPU, setting.encoder, tokens, recipe),
            in_child(trainer_speed, *peer)[0],
            in_child(tutorial_speed, *tutorial)[0],
        )
        for _ in range(setting.repeats)
    ]
    ours, theirs, tutorials = (statistics.median(side) for side in zip(*turns, strict=True))
    # The mean length of the sample differs a little.
    here, there = ours / whole.mean(), theirs / whole.mean()
    padding = padding_share(whole, training_batches(whole, BATCH, seed=1, epoch=0))
    print(f"{corpus} texts, {whole.mean():.0f} tokens on average, the longest {whole.max()}")
    print(f"  {here / tutorials:.1f} times the samples/s of the tutorial's loop")
    print(f"  {here / there:.2f} times the samples/s of Hugging Face Trainer")
    print(f"  {here:.1f} samples/s here, {there:.1f} with Trainer, {tutorials:.2f} in the loop;")
    print(f"  all in batches of {BATCH}, fp32; medians of {setting.repeats}")
    print(f"  padding {padding:.1%} of the tokens here, {1 - whole.mean() / whole.max():.0%} there")
    table(setting, tokens, whole.mean())


def table(setting: Setting, tokens: Tokens, mean: float) -> None:
    """Print the speed of each batch size and precision, for texts of that `mean` length."""
    work = training_flops(classifier(setting.encoder), tokens.lengths) / tokens.lengths.sum()
    in_bf16 = has_bf16(CPU)
    best = matrix_rate(CPU, torch.bfloat16 if in_bf16 else torch.float32)
    print(f"  best {'bf16' if in_bf16 else 'fp32'} matrix rate {best / 1e12:.2f} TFLOP/s")
    print("  | batch | precision | samples/s | tokens/s | share of the matrix rate |")
    print("  |---|---|---|---|---|")
    for size in setting.sizes:
        for precision in PRECISIONS if in_bf16 else PRECISIONS[:1]:
            recipe = Train(epochs=1, batch_size=size, precision=precision)
            speed = our_speed(CPU, setting.encoder, tokens, recipe)
            print(
                f"  | {size} | {precision} | {speed / mean:.1f} | {speed:.0f} "
                f"| {speed * work / best:.0%} |",
                flush=True,
            )


def measure(setting: Setting) -> None:
    """Print all measurements."""
    print(f"training, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for corpus in setting.rows:
        compare(setting, corpus)
    corpus, rows = setting.stage
    seconds = stage_seconds(setting)
    print(f"the train stage, {Train().epochs} epochs over {rows} {corpus} texts: {seconds:.0f} s")


def main() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rows = {"hotel": 240, "short": 600}
    measure(Setting(PRETRAINED, rows, 2, (12, 16, 32), ("short", 1750)))


if __name__ == "__main__":
    main()
