"""A small training run in as many processes as its recipe says, for test_distributed.py.

`python -m tests.training.distributed_run FOLDER RECIPE`: FOLDER contains an encoder. RECIPE is JSON
with `rows`, `stop` (the batch in which to stop, if any) and changes to the recipe of the tests.
Each rank writes the rows that it got, and rank 0 writes the result.
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
from ordinal.tokenization.tokens import Tokens
from ordinal.training import callbacks, fine_tuning
from ordinal.training.data_module import Batch
from ordinal.training.distributed import is_rank_zero, silence_other_ranks
from ordinal.training.fine_tuning import fit
from tests.tiny import classifier_for, draw

RECIPE = Train(epochs=2, batch_size=4, lr=0.01, layer_decay=0.9, accelerator="cpu")


class Stop(Exception):  # noqa: N818, like StopIteration
    """Ends a run."""


class Watch(Callback):
    """Record the tokens of each batch, which identify its rows, and stop in a batch."""

    def __init__(self, stop: int | None) -> None:
        self.stop = stop
        self.seen: dict[str, list[list[list[int]]]] = {"train": [], "validation": []}

    def _note(self, part: str, batch: Batch) -> None:
        rows = zip(batch.ids.tolist(), batch.mask.tolist(), strict=True)
        self.seen[part].append([row[: sum(kept)] for row, kept in rows])

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        # Rank 0 only: it would wait in its last step for a rank that stopped first.
        if is_rank_zero() and len(self.seen["train"]) == self.stop:
            raise Stop
        self._note("train", batch)

    def on_validation_batch_start(self, trainer, module, batch, index) -> None:
        self._note("validation", batch)


def numbered(rows: int, seed: int) -> Tokens:
    """The reviews of `draw`, each with its own first token: 20 and more."""
    tokens = draw(rows, seed)
    tokens.ids[tokens.offsets[:-1]] = 20 + np.arange(rows) % 15
    return tokens


def run(folder: Path, rows: int = 61, stop: int | None = None, **changes: object) -> None:
    callbacks.CHECKPOINT_TIME = torch.inf
    fine_tuning.CURVE_POINTS = 7
    watch = Watch(stop)
    recipe = RECIPE.model_copy(update=changes)
    model = classifier_for(folder / "encoder", recipe)
    train, validation = numbered(rows, 0), numbered(rows // 3, 1)
    history = fit(model, train, validation, recipe, folder / "checkpoints", [watch])
    rank = 0 if is_rank_zero() else 1
    (folder / f"seen{rank}.json").write_text(json.dumps(watch.seen))
    if is_rank_zero():
        (folder / "history.json").write_text(json.dumps(asdict(history)))
        torch.save(model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    with report_user_errors():
        silence_other_ranks()
        run(Path(sys.argv[1]), **json.loads(sys.argv[2]))
