"""A small training run in as many processes as its recipe says, for test_distributed.py.

`python -m tests.training.distributed_run FOLDER RECIPE`: in FOLDER lies an encoder, and RECIPE is
JSON with `rows`, `stop` (the batch in which to break off, if any) and what differs from the tests' recipe.
Each rank writes which rows it saw, and rank 0 the result.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from ordinal.common.errors import report_user_errors
from ordinal.common.params import Train
from ordinal.model.classifier import new_classifier
from ordinal.tokenization.tokens import Tokens
from ordinal.training import fine_tuning
from ordinal.training.distributed import is_rank_zero, silence_other_ranks
from ordinal.training.fine_tuning import FineTuning, fit
from tests.training.test_fine_tuning import LABELS, draw

RECIPE = Train(epochs=2, batch_size=4, lr=0.01, layer_decay=0.9, accelerator="cpu")


class Stop(Exception):  # noqa: N818, like StopIteration
    """Ends a run."""


class Watch(Callback):
    """Notes the real tokens of each batch, which tell its rows; breaks off in a batch."""

    def __init__(self, stop: int | None) -> None:
        self.stop = stop
        self.seen: dict[str, list[list[list[int]]]] = {"train": [], "validation": []}

    def _note(self, part: str, batch: fine_tuning.Batch) -> None:
        ids, mask, _ = batch
        self.seen[part].append(
            [row[: sum(kept)] for row, kept in zip(ids.tolist(), mask.tolist(), strict=True)]
        )

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        # Rank 0 alone: a rank that ended first would be missed by this one in the step before.
        if is_rank_zero() and len(self.seen["train"]) == self.stop:
            raise Stop
        self._note("train", batch)

    def on_validation_batch_start(self, trainer, module, batch, index) -> None:
        self._note("validation", batch)


def numbered(rows: int, seed: int) -> Tokens:
    """`draw`, each review with a first token of its own: 20 and more."""
    tokens = draw(rows, seed)
    tokens.ids[tokens.offsets[:-1]] = 20 + np.arange(rows) % 15
    return tokens


def run(folder: Path, rows: int = 61, stop: int | None = None, **changes: object) -> None:
    fine_tuning.CHECKPOINT_TIME = torch.inf
    fine_tuning.CURVE_POINTS = 7
    watch = Watch(stop)
    FineTuning.configure_callbacks = lambda _: [watch]
    recipe = RECIPE.model_copy(update=changes)
    model = new_classifier(folder / "encoder", LABELS, recipe)
    history = fit(model, numbered(rows, 0), numbered(rows // 3, 1), recipe, folder / "checkpoints")
    rank = 0 if is_rank_zero() else 1
    (folder / f"seen{rank}.json").write_text(json.dumps(watch.seen))
    if is_rank_zero():
        (folder / "history.json").write_text(json.dumps(asdict(history)))
        torch.save(model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    with report_user_errors():
        silence_other_ranks()
        run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
