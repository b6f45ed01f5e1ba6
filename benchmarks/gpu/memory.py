"""Step 10: memory of the training of a large encoder, with and without ways to save it."""

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.corpora import LABELS, random_tokens
from benchmarks.gpu.record import Record, Sizes
from benchmarks.gpu.shape import save_shape
from benchmarks.training import Clock
from ordinal.common.params import Train
from ordinal.model.classifier import new_classifier
from ordinal.training.fine_tuning import fit
from ordinal.training.memory import saving_memory

CHECKPOINTING: dict[str, Any] = {"activation_checkpointing": "layers"}
LORA: dict[str, Any] = {"lora_rank": 8}
WAYS = {"plain": {}, "checkpointing": CHECKPOINTING, "LoRA": LORA, "both": CHECKPOINTING | LORA}


def run(sizes: Sizes, record: Record) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_shape(sizes.encoder, Path(folder), **sizes.large)
        for way, changes in WAYS.items():
            recipe = Train(epochs=1, precision=sizes.precision, **changes)
            parameters, peak, seconds = _measure(sizes, Path(folder), recipe)
            record.add(
                f"{parameters / 1e6:.0f} M parameters, {recipe.batch_size} texts of {sizes.longest}"
                f" tokens, {way}: {peak / 2**30:.1f} GiB, {seconds * 1e3:.0f} ms per step",
                **{way: {"bytes": peak, "seconds": seconds}},
            )


def _measure(sizes: Sizes, encoder: Path, recipe: Train) -> tuple[int, int, float]:
    """Parameters, peak of the allocated memory in bytes (0 on a CPU), and seconds of a step."""
    recipe = recipe.model_copy(update={"accelerator": sizes.accelerator})
    model = new_classifier(encoder, LABELS, recipe.loss, attention_dropout=0.0)
    rows = sizes.large_steps * recipe.batch_size
    tokens, few = (
        random_tokens(np.full(count, width), model.config.vocab_size)
        for count, width in ((rows, sizes.longest), (recipe.batch_size, 8))
    )
    on_gpu, clock = sizes.device.type == "cuda", Clock()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with contextlib.redirect_stdout(io.StringIO()), saving_memory(model, recipe):
        fit(model, tokens, few, recipe, callbacks=[clock])
    peak = torch.cuda.max_memory_allocated() if on_gpu else 0
    return model.num_parameters(), peak, clock.seconds[-1] / sizes.large_steps
