"""Steps 2 and 3: training speed against the tutorial's loop and Trainer, and against the GPU."""

import statistics
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks.clock import matrix_rate, training_flops
from benchmarks.gpu.record import Record, Sizes
from benchmarks.trainer import trainer_speed
from benchmarks.training import classifier, our_speed
from benchmarks.tutorial import BATCH, tutorial_speed
from ordinal.common.params import Train
from ordinal.tokenization.tokens import Tokens

EPOCHS = 2  # the last one is timed
Call = Callable[..., Any]


def run(sizes: Sizes, record: Record) -> None:
    """Compare ours, Trainer and the tutorial's loop, in turns."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        # Each side has its own process, because `fit` makes torch deterministic for good.
        ours, trainer, tutorial = (stack.enter_context(_Worker()) for _ in range(3))
        for _ in range(sizes.repeats):
            for corpus, size in sizes.cells:
                tokens = sizes.tokens(corpus, sizes.rows, sizes.shape)
                recipe = Train(epochs=EPOCHS, batch_size=size, precision=sizes.precision)
                here = ours(our_speed, sizes.device, sizes.shape, tokens, recipe)
                there = trainer(_trainer_speed, sizes, tokens, size)
                mean = tokens.lengths.mean()
                found[f"ours {corpus} {size}"].append(here / mean)
                found[f"Trainer {corpus} {size}"].append(there / mean)
            tokens = sizes.tokens("hotel", sizes.rows, sizes.shape)
            found["tutorial"].append(
                tutorial(tutorial_speed, sizes.device, sizes.shape, tokens, sizes.tutorial_steps)
            )
            _report(sizes, record, found)
        size = Train().batch_size
        own = trainer(_trainer_speed, sizes, tokens, size, None) / tokens.lengths.mean()
    record.add(
        f"Trainer with the encoder's own attention dropout, hotel texts, batches of {size}: "
        f"{own:.0f} samples/s",
        own_dropout=own,
    )


def _trainer_speed(
    sizes: Sizes, tokens: Tokens, size: int, attention_dropout: float | None = 0.0
) -> float:
    given = (sizes.device, sizes.shape, tokens, size, sizes.precision, EPOCHS)
    return trainer_speed(*given, attention_dropout)


def _report(sizes: Sizes, record: Record, found: dict[str, list[float]]) -> None:
    medians = {side: statistics.median(speeds) for side, speeds in found.items()}
    tutorial = medians["tutorial"]
    record.add(
        f"turn {len(found['tutorial'])}: samples/s, medians so far; the tutorial's loop (batches "
        f"of {BATCH}, fp32): {tutorial:.0f}",
        turns=dict(found),
        medians=medians,
    )
    for corpus, size in sizes.cells:
        ours, theirs = (medians[f"{side} {corpus} {size}"] for side in ("ours", "Trainer"))
        record.add(
            f"{corpus} texts, batches of {size}: ours {ours:.0f}, Trainer {theirs:.0f}; "
            f"{ours / theirs:.2f} times Trainer, {ours / tutorial:.1f} times the tutorial's loop",
            **{f"ratio to Trainer, {corpus} {size}": ours / theirs},
            **{f"ratio to the tutorial, {corpus} {size}": ours / tutorial},
        )


class _Worker:
    """A process that stays alive between calls."""

    def __enter__(self) -> Call:
        self.pool = ProcessPoolExecutor(1, mp_context=get_context("forkserver"))
        return lambda function, *given: self.pool.submit(function, *given).result()

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()


def share(sizes: Sizes, record: Record) -> None:
    """Print the share of the GPU's matrix rate that training reaches, counting real tokens only."""
    kind = torch.bfloat16 if sizes.precision == "bf16-mixed" else torch.float32
    best = matrix_rate(sizes.device, kind)
    record.add(f"best {kind} matrix rate {best / 1e12:.1f} TFLOP/s", matrix_rate=best)
    tokens = sizes.tokens("hotel", sizes.rows, sizes.shape)
    work = training_flops(classifier(sizes.shape), tokens.lengths) / tokens.lengths.sum()
    for size in sizes.batches:
        recipe = Train(epochs=EPOCHS, batch_size=size, precision=sizes.precision)
        speed = our_speed(sizes.device, sizes.shape, tokens, recipe)
        record.add(
            f"batches of {size}: {speed / tokens.lengths.mean():.0f} samples/s, "
            f"{speed * work / best:.1%} of the matrix rate",
            **{f"share {size}": speed * work / best, f"tokens/s {size}": speed},
        )
