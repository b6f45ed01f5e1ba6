"""A training run that is stopped, anywhere and repeatedly, ends with the same bytes."""

import contextlib
import math
import random
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from transformers import PreTrainedModel

from ordinal.common.params import Train
from ordinal.tokenization.batching import batch_seed
from ordinal.training import callbacks, fine_tuning
from ordinal.training.checkpoints import find_checkpoint, step_of
from ordinal.training.curves import History
from ordinal.training.fine_tuning import fit
from tests.tiny import classifier_for, draw

RECIPE = Train(
    epochs=3, batch_size=4, lr=0.01, layer_decay=0.9, accelerator="cpu", checkpoint_every=1
)
RECIPES: dict[str, dict[str, object]] = {
    "plain": {},
    "two batches a step": {"accumulate": 2},
    "three batches a step": {"accumulate": 3, "checkpoint_every": 2},
    "coral": {"loss": "coral"},
    "weighted classes, no clipping": {"class_weights": "balanced", "clip": None},
    "bf16": {"precision": "bf16-mixed", "schedule": "cosine"},
    "patience": {"epochs": 9, "patience": 2, "lr": 0.03},
    "few checkpoints": {"checkpoint_every": 7},
    "none within an epoch": {"checkpoint_every": None, "accumulate": 2},
}
if torch.cuda.is_available():
    RECIPES["gpu"] = {"accelerator": "gpu", "accumulate": 2}
ROWS = 61
EPOCH = 16  # batches, the last of one row


class Stop(Exception):  # noqa: N818, like StopIteration
    """Ends a run."""


class Watch(Callback):
    """Record the labels of each training batch, and stop the n-th time that a hook is called."""

    def __init__(self, hook: str = "", count: int = 0) -> None:
        self.stop = (hook, count)
        self.seen: dict[str, int] = {}
        self.batches: list[list[int]] = []

    def _tick(self, hook: str) -> None:
        self.seen[hook] = self.seen.get(hook, 0) + 1
        if (hook, self.seen[hook]) == self.stop:
            raise Stop

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        self._tick("train batch")
        self.batches.append(batch.labels.tolist())

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self._tick("after a train batch")

    def on_validation_batch_start(self, trainer, module, batch, index) -> None:
        self._tick("validation batch")

    def on_train_epoch_end(self, trainer, module) -> None:
        self._tick("epoch end")


@pytest.fixture(autouse=True)
def _fast_checkpoints_and_slow_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save every checkpoint that is due, most of them between two points of the curve."""
    monkeypatch.setattr(callbacks, "CHECKPOINT_TIME", math.inf)
    monkeypatch.setattr(fine_tuning, "CURVE_POINTS", 7)


def train(
    encoder: Path, recipe: Train, folder: Path | None, watch: Callback | None = None
) -> tuple[PreTrainedModel, History]:
    model = classifier_for(encoder, recipe)
    watches = [watch] if watch else []
    return model, fit(model, draw(ROWS), draw(20, seed=1), recipe, folder, watches)


def assert_same(
    one: tuple[PreTrainedModel, History], other: tuple[PreTrainedModel, History]
) -> None:
    assert one[1] == other[1]
    weights, others = one[0].state_dict(), other[0].state_dict()
    assert list(weights) == list(others)
    for name, weight in weights.items():
        assert weight.numpy().tobytes() == others[name].numpy().tobytes(), name


def batches_before(checkpoint: Path | None, recipe: Train) -> int:
    """Training batches that a resumed run skips."""
    if checkpoint is None:
        return 0
    epochs, steps = divmod(step_of(checkpoint), math.ceil(EPOCH / recipe.accumulate))
    return epochs * EPOCH + steps * recipe.accumulate


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_stopped_again_and_again_ends_in_the_same_bytes(
    name: str, tiny_encoder: Path, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update=RECIPES[name])
    whole = Watch()
    expected = train(tiny_encoder, recipe, None, whole)
    chance = random.Random(name)
    stops = [
        ("train batch", chance.randint(2, 15)),
        ("after a train batch", chance.choice([16, 32])),  # the last of an epoch
        ("validation batch", chance.randint(1, 2)),
        ("epoch end", chance.randint(1, 2)),
    ]
    chance.shuffle(stops)
    # First in the middle of an epoch, so that there is always something to resume.
    starts = []
    for stop in [("train batch", chance.randint(9, 15)), *stops]:
        start = batches_before(find_checkpoint(tmp_path), recipe)
        starts.append(start)
        watch = Watch(*stop)
        with contextlib.suppress(Stop):  # the run may end first
            train(tiny_encoder, recipe, tmp_path, watch)
        assert watch.batches == whole.batches[start : start + len(watch.batches)]
    assert (0 < starts[1] < EPOCH) == (recipe.checkpoint_every is not None)
    assert_same(train(tiny_encoder, recipe, tmp_path), expected)


def test_a_run_that_was_killed_after_its_last_epoch_trains_no_batch_again(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    for changes in ({}, RECIPES["patience"]):
        recipe = RECIPE.model_copy(update=changes)
        folder = tmp_path / str(len(changes))
        expected = train(tiny_encoder, recipe, folder)
        assert (len(expected[1].epochs) < recipe.epochs) == ("patience" in changes)
        assert_same(train(tiny_encoder, recipe, folder, watch := Watch()), expected)
        assert watch.batches == []


@pytest.mark.parametrize("damage", ["truncated", "one bit flipped", "empty"])
def test_after_a_damaged_checkpoint_the_one_before_it_is_used(
    damage: str, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Watch()
    expected = train(tiny_encoder, RECIPE, None, whole)
    with pytest.raises(Stop):
        train(tiny_encoder, RECIPE, tmp_path, Watch("train batch", 22))
    previous, newest = sorted(tmp_path.iterdir())
    assert (step_of(previous), step_of(newest)) == (20, 21)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"truncated": content[:-1], "one bit flipped": content, "empty": b""}
    newest.write_bytes(changed[damage])
    assert_same(train(tiny_encoder, RECIPE, tmp_path, watch := Watch()), expected)
    assert watch.batches == whole.batches[20:]
    assert "the checkpoint of step 21 is damaged and was removed" in capsys.readouterr().out


def test_with_all_checkpoints_damaged_it_starts_from_scratch(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    expected = train(tiny_encoder, RECIPE, None)
    with pytest.raises(Stop):
        train(tiny_encoder, RECIPE, tmp_path, Watch("train batch", 9))
    for file in tmp_path.iterdir():
        file.write_bytes(b"not a checkpoint")
    assert_same(train(tiny_encoder, RECIPE, tmp_path), expected)


def test_how_often_it_saves_does_not_change_the_result(tiny_encoder: Path, tmp_path: Path) -> None:
    expected = train(tiny_encoder, RECIPE, None)
    for every in (1, 5, None):
        recipe = RECIPE.model_copy(update={"checkpoint_every": every})
        assert_same(train(tiny_encoder, recipe, tmp_path / str(every)), expected)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"checkpoint_every": 5}, [5, 10, 15, 16, 21, 26, 31, 32, 37, 42, 47, 48]),
        ({"checkpoint_every": None}, [16, 32, 48]),
        # Of three batches a step, the last of one batch.
        ({"checkpoint_every": 4, "accumulate": 3}, [4, 6, 10, 12, 16, 18]),
    ],
)
def test_it_saves_every_few_steps_and_after_each_epoch(
    changes: dict[str, object],
    steps: list[int],
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(
        callbacks, "save_checkpoint", lambda folder, step, write: saved.append(step)
    )
    train(tiny_encoder, RECIPE.model_copy(update=changes), tmp_path)
    assert saved == steps


@pytest.mark.parametrize(
    ("accumulate", "steps"), [(1, [1, 11, 21, 31, 41]), (3, [1, 5, 9, 13, 17])]
)
def test_slow_checkpoints_are_taken_less_often_and_never_between_two_steps(
    accumulate: int,
    steps: list[int],
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A batch takes a second of this clock, a checkpoint half a second: the next in ten seconds."""
    saved: list[int] = []
    clock = 0.0

    class Second(Callback):
        def on_train_batch_start(self, trainer, module, batch, index) -> None:
            nonlocal clock
            clock += 1

    def slow(folder: Path, step: int, write: object) -> None:
        nonlocal clock
        clock += 0.5
        saved.append(step)

    monkeypatch.setattr(callbacks, "CHECKPOINT_TIME", 0.05)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock)
    monkeypatch.setattr(callbacks, "save_checkpoint", slow)
    recipe = RECIPE.model_copy(update={"accumulate": accumulate})
    train(tiny_encoder, recipe, tmp_path, Second())
    assert saved == steps


def test_a_checkpoint_contains_plain_types_and_tensors_only(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    train(tiny_encoder, RECIPE, tmp_path)
    last = find_checkpoint(tmp_path)
    assert last is not None
    content = torch.load(last, weights_only=True)
    assert [
        epoch["epoch"] for epoch in content["callbacks"]["LearningCurves"]["history"]["epochs"]
    ] == [1, 2, 3]


def test_the_seed_of_a_batch_depends_on_its_place_only() -> None:
    places = [(seed, epoch, batch) for seed in range(3) for epoch in range(4) for batch in range(9)]
    seeds = [batch_seed(*place) for place in places]
    assert seeds == [batch_seed(*place) for place in places]
    assert len(set(seeds)) == len(places)
