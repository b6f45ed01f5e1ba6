"""Step 1: the default recipe trains, and its losses on the GPU are those on the CPU."""

import contextlib
import io
import shutil
import statistics
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from benchmarks.corpora import LABELS
from benchmarks.gpu.record import Record, Sizes
from benchmarks.growth import ROOT
from ordinal.common.files import read_json, write_json
from ordinal.common.params import Train
from ordinal.model.classifier import new_classifier
from ordinal.model.device import choose_precision
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit

SYNC = "called a synchronizing CUDA operation"
SEEDS = (1, 2, 3)


class Losses(Callback):
    """Keep the loss of each batch on the device."""

    def __init__(self) -> None:
        self.losses: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.losses.append(outputs["batch_loss"])


class Watch(Callback):
    """Let torch report each wait of the host for the GPU, from the start of a step to an end."""

    def __init__(self, first: int, last: int) -> None:
        self.first = first
        self.last = last

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        if trainer.current_epoch == 0 and index == self.first and torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("warn")

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        if index == self.last and torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")


@contextmanager
def counted_warnings() -> Iterator[Counter[tuple[str, str]]]:
    """Count the warnings by their text and the lines of code that caused them."""
    found: Counter[tuple[str, str]] = Counter()

    def count(message: Any, *details: Any, **named: Any) -> None:
        text = " ".join(str(message).split())[:200]
        found[SYNC if SYNC in text else text, _place()] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = count
        yield found


def _place() -> str:
    """The innermost line of this project, and the innermost line at all, of the calling code."""
    frames = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_stack(sys._getframe())
    ]
    outside = [frame for frame in frames if frame[0] not in (__file__, warnings.__file__)]
    ours = [frame for frame in outside if frame[0].startswith(str(ROOT / "ordinal"))]
    return " in ".join(_line(*frame) for frame in dict.fromkeys([outside[0], *ours[:1]]))


def _line(file: str, line: int, function: str) -> str:
    inside = file.rpartition("site-packages/")[2]
    return f"{inside.removeprefix(f'{ROOT}/')}:{line} {function}"


def without_dropout(encoder: Path, folder: Path) -> Path:
    """Copy an encoder, so that its losses do not depend on a device's random numbers."""
    shutil.copytree(encoder, folder)
    config = read_json(encoder / "config.json")
    off = {name: 0.0 for name, value in config.items() if "drop" in name and value is not None}
    write_json(folder / "config.json", config | off)
    return folder


def learnable(sizes: Sizes, encoder: Path) -> Tokens:
    """Short texts whose first token gives the label away."""
    tokens = sizes.tokens("short", sizes.curve_steps * Train().batch_size, encoder)
    tokens.ids[tokens.offsets[:-1]] = tokens.ids.max() - tokens.labels
    return tokens


def curve(encoder: Path, tokens: Tokens, recipe: Train) -> list[float]:
    """The loss of each step of one epoch."""
    model = new_classifier(encoder, LABELS, recipe.loss, seed=recipe.seed)
    losses = Losses()
    few = Tokens.of([tokens.ids[:8]] * 8)
    few.labels[:] = 0
    with contextlib.redirect_stdout(io.StringIO()):
        fit(model, tokens, few, recipe, callbacks=[losses])
    return [round(loss, 5) for loss in torch.stack(losses.losses).tolist()]


def run(sizes: Sizes, record: Record) -> None:
    _recipe(sizes, record)
    with tempfile.TemporaryDirectory() as folder:
        _curves(sizes, record, without_dropout(sizes.encoder, Path(folder) / "encoder"))


def _recipe(sizes: Sizes, record: Record) -> None:
    """Train with the default recipe, and count warnings and synchronisations."""
    first, last = sizes.watched
    recipe = Train()
    tokens, validation = (
        sizes.tokens("hotel", rows, sizes.shape)
        for rows in (sizes.stage_rows, sizes.stage_rows // 7)
    )
    model = new_classifier(sizes.shape, LABELS, recipe.loss, attention_dropout=0.0)
    output = io.StringIO()
    with counted_warnings() as found, contextlib.redirect_stdout(output):
        history = fit(model, tokens, validation, recipe, callbacks=[Watch(first, last)])
    precision = choose_precision(recipe.precision, sizes.device)
    record.add(
        f"default recipe: {precision}, fp32 matrix products in precision "
        f"{torch.get_float32_matmul_precision()}, {history.epochs[-1]}",
        precision=precision,
        float32_matmul_precision=torch.get_float32_matmul_precision(),
        tf32=torch.backends.cuda.matmul.allow_tf32,
        epochs=history.epochs,
        printed=output.getvalue().splitlines(),
    )
    steps = last - first + 1
    syncs = {place: count for (text, place), count in found.items() if text == SYNC}
    record.add(
        f"{sum(syncs.values()) / steps:.2f} host synchronisations per step, in {steps} steps",
        steps=steps,
        syncs=syncs,
    )
    others = {f"{text} [{place}]": count for (text, place), count in found.items() if text != SYNC}
    record.add(f"{len(others)} other warnings", warnings=others)
    for line, count in [*syncs.items(), *others.items()]:
        print(f"    {count} × {line}", flush=True)


def _curves(sizes: Sizes, record: Record, encoder: Path) -> None:
    """Compare the loss of each step on the CPU and on the GPU, without dropout."""
    tokens = learnable(sizes, encoder)
    sides = {
        "cpu fp32": {"accelerator": "cpu", "precision": "32-true"},
        "gpu fp32": {"accelerator": sizes.accelerator, "precision": "32-true"},
        "gpu bf16": {"accelerator": sizes.accelerator, "precision": sizes.precision},
    }
    curves = {}
    for side, changes in sides.items():
        curves[side] = curve(encoder, tokens, Train(epochs=1, **changes))
        record.add(f"{side}: {_summary(curves[side])}", curves=curves)
    for side in ("gpu fp32", "gpu bf16"):
        apart = [abs(a - b) for a, b in zip(curves[side], curves["cpu fp32"], strict=True)]
        record.add(
            f"{side} against cpu fp32: the loss of a step differs by {max(apart):.5f} at most, "
            f"by {apart[0]:.5f} in the first step",
            **{f"largest difference, {side}": max(apart)},
        )
    ends = [
        _end(curve(encoder, tokens, Train(epochs=1, seed=seed, **sides["gpu fp32"])))
        for seed in SEEDS
    ]
    record.add(
        f"noise: the mean loss of the last third has a standard deviation of "
        f"{statistics.stdev(ends):.5f} over the seeds {SEEDS}",
        noise=statistics.stdev(ends),
    )


def _summary(losses: list[float]) -> str:
    return f"loss {losses[0]:.4f} in the first step, {_end(losses):.4f} in the last third"


def _end(losses: list[float]) -> float:
    return statistics.fmean(losses[-len(losses) // 3 :])
