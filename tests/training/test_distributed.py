"""On several devices: the same rows, weights and metrics as on one, and one process that writes."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, BertModel

from ordinal.common.choices import LossName
from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.model.losses import LOSSES, balanced_weights
from ordinal.tokenization.batching import batch_seed, evaluation_batches, training_batches
from ordinal.training import callbacks, fine_tuning
from ordinal.training.checkpoints import find_checkpoint, step_of
from ordinal.training.distributed import (
    choose_environment,
    rows_for_rank,
    weight_of_rows,
)
from tests.conftest import ROOT, console_commands, run_as_shown, run_in, stages_run
from tests.families import FAMILIES
from tests.training import distributed_run

LENGTHS = np.random.default_rng(0).integers(3, 60, size=301)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [1, 8, 16])
def test_each_row_is_counted_on_one_rank_and_shares_are_about_as_long(
    size: int, ranks: int
) -> None:
    for batches in (training_batches(LENGTHS, size, 1, 0), evaluation_batches(LENGTHS, 60 * size)):
        counted: list[int] = []
        for batch in batches:
            shares = [rows_for_rank(batch, rank, ranks) for rank in range(ranks)]
            assert all(len(rows) for rows in shares)
            counted += np.concatenate(shares[: len(batch)]).tolist()
            sizes = [len(rows) for rows in shares[: len(batch)]]
            assert max(sizes) - min(sizes) <= 1
            longest = [LENGTHS[rows].max() for rows in shares[: len(batch)]]
            in_order = np.sort(LENGTHS[batch])
            assert min(longest) >= in_order[-min(ranks, len(batch))]
        assert sorted(counted) == list(range(len(LENGTHS)))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("rows", "ranks"), [(7, 1), (7, 2), (7, 3), (2, 4)])
def test_the_mean_over_ranks_is_the_loss_and_the_gradient_of_the_batch(
    loss: LossName, rows: int, ranks: int
) -> None:
    head, classes = LOSSES[loss], 5
    labels = torch.randint(classes, (20,), generator=torch.manual_seed(rows))
    outputs = head.outputs(classes)
    logits = torch.randn(20, outputs, dtype=torch.float64, requires_grad=True)
    weights = balanced_weights(labels, classes)
    batch = np.arange(20)[5 : 5 + rows]

    def of(rows: Any) -> torch.Tensor:
        return head.loss(logits[rows], labels[rows], weights)

    whole = of(batch)
    row_weights = head.row_weights(labels, classes, weights)
    parts = [
        weight_of_rows(batch, rank, ranks, row_weights) * of(rows_for_rank(batch, rank, ranks))
        for rank in range(ranks)
    ]
    mean = torch.stack(parts).mean()
    torch.testing.assert_close(mean, whole)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, logits)[0] for value in (mean, whole)), rtol=1e-5, atol=1e-8
    )
    if ranks == 1:
        assert torch.equal(parts[0], whole)


def test_each_rank_has_its_own_dropout_and_rank_zero_that_of_a_single_process() -> None:
    seeds = [batch_seed(seed, 2, 3, rank) for seed in (0, 1, 2**31) for rank in range(8)]
    assert len(set(seeds)) == len(seeds)
    assert seeds[::8] == [
        int(np.random.SeedSequence((seed, 2, 3)).generate_state(1)[0]) for seed in (0, 1, 2**31)
    ]


@pytest.mark.parametrize(
    ("changes", "started", "message"),
    [
        ({"devices": 3}, {"device": "cuda"}, "train.devices is 3, but torch finds 2 GPUs here"),
        ({"devices": 33}, {}, "train.batch_size is 32, too few rows for 33 devices"),
        ({"strategy": "fsdp"}, {}, "train.strategy is fsdp, which needs several devices"),
        ({"num_nodes": 2}, {}, "train.num_nodes is 2, but this process was started alone"),
        (
            {},
            {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2"},
            "torchrun or srun started a different number",
        ),
        (
            {"devices": 2},
            {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4"},
            "train.devices is 2 and train.num_nodes 1, but torchrun or srun started a different",
        ),
        (
            {"devices": 4},
            {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4"},
            "start 4 on each of 1 machines with --ntasks-per-node=4",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_is_an_error_in_one_sentence(
    changes: dict[str, object],
    started: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as raised:
        choose_environment(Train(**changes), torch.device(started.get("device", "cpu")))
    assert message in str(raised.value)


def test_in_a_slurm_job_either_srun_or_the_stage_starts_the_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    cpu = torch.device("cpu")
    assert not choose_environment(Train(devices=2), cpu).creates_processes_externally
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    assert choose_environment(Train(devices=2), cpu).creates_processes_externally


# Changes to the recipe for the runs below, which have 61 rows in batches of 4, so that one rank has
# no row of the last batch; and 20 rows for validation.
CHANGES: dict[str, object] = {
    "accumulate": 3,
    "class_weights": "balanced",
    "clip": 0.1,
    "checkpoint_every": 2,
}


@pytest.fixture(scope="module")
def alone(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one process.

    Its encoder has no dropout, because dropout differs between ranks.
    """
    folder = tmp_path_factory.mktemp("alone")
    config = AutoConfig.from_pretrained(tiny_encoder)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    BertModel.from_pretrained(tiny_encoder, config=config).save_pretrained(folder / "encoder")
    return finished_here(folder)


@pytest.fixture
def folder(alone: Path, tmp_path: Path) -> Path:
    (tmp_path / "encoder").symlink_to(alone / "encoder")
    return tmp_path


def start(folder: Path, **changes: object) -> subprocess.CompletedProcess[str]:
    options = json.dumps(CHANGES | changes)
    return run_in(ROOT, "python", "-m", "tests.training.distributed_run", str(folder), options)


def finished(folder: Path, **changes: object) -> Path:
    """The folder, after a run that succeeded and printed each message once."""
    run = start(folder, **changes)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("train: epoch 2 of 2") == 1
    assert run.stderr.count("LOAD REPORT") == 1
    assert "arning" not in run.stderr
    return folder


def finished_here(folder: Path, **changes: object) -> Path:
    """The folder, after a run of one process, which is this one."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((callbacks, "CHECKPOINT_TIME"), (fine_tuning, "CURVE_POINTS")):
            patch.setattr(module, name, getattr(module, name))  # what the run sets is undone
        distributed_run.run(folder, **CHANGES | changes)
    return folder


def rows_seen(folder: Path, rank: int) -> dict[str, list[Any]]:
    seen: dict[str, list[Any]] = json.loads((folder / f"seen{rank}.json").read_text())
    return seen


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(folder / "weights.pt")
    return weights


def assert_like_one(folder: Path, alone: Path) -> None:
    """The same rows in each batch, and the same weights and metrics within float error."""
    whole, *shares = rows_seen(alone, 0), rows_seen(folder, 0), rows_seen(folder, 1)
    for part, batches in whole.items():
        first, second = (share[part] for share in shares)
        assert len(first) == len(second) > 0
        for batch, mine, others in zip(batches[-len(first) :], first, second, strict=True):
            counted = [*mine, *(others if len(batch) > 1 else [])]
            assert Counter(map(tuple, counted)) == Counter(map(tuple, batch))
    history, expected = (
        json.loads((place / "history.json").read_text()) for place in (folder, alone)
    )
    assert len(expected["steps"]) > 5
    for kind in ("epochs", "steps"):
        for point, same in zip(history[kind], expected[kind], strict=True):
            assert point == pytest.approx(same, abs=1e-4)
    weights, same_weights = weights_of(folder), weights_of(alone)
    assert list(weights) == list(same_weights)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, same_weights[name], rtol=1e-3, atol=1e-4)


def break_off(folder: Path, batch: int, step: int, **changes: object) -> None:
    """Stop a run in a batch; its last checkpoint is that of an optimiser step."""
    broken = start(folder, stop=batch, **changes)
    assert broken.returncode == 1
    assert "Stop" in broken.stderr
    last = find_checkpoint(folder / "checkpoints")
    assert last is not None
    assert step_of(last) == step
    assert not (folder / "weights.pt").exists()


SECOND_EPOCH = {"batch": 23, "step": 8}
FIRST_EPOCH = {"batch": 8, "step": 2}


@pytest.mark.slow
def test_ddp_of_two_processes_equals_a_run_of_one_and_resumes_if_stopped(
    folder: Path, alone: Path
) -> None:
    assert_like_one(finished(folder, devices=2), alone)
    uninterrupted = (folder / "history.json").read_text(), weights_of(folder)
    for path in (*(folder / "checkpoints").iterdir(), folder / "weights.pt"):
        path.unlink()

    break_off(folder, **SECOND_EPOCH, devices=2)
    finished(folder, devices=2)
    assert len(rows_seen(folder, 1)["train"]) < len(rows_seen(alone, 0)["train"])
    history, weights = uninterrupted
    assert (folder / "history.json").read_text() == history
    for name, weight in weights_of(folder).items():
        assert weight.numpy().tobytes() == weights[name].numpy().tobytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("place", [FIRST_EPOCH, SECOND_EPOCH], ids=["first epoch", "second epoch"])
def test_fsdp_of_two_processes_that_was_stopped_ends_as_a_run_of_one(
    place: dict[str, int], folder: Path, alone: Path
) -> None:
    break_off(folder, **place, devices=2, strategy="fsdp")
    assert_like_one(finished(folder, devices=2, strategy="fsdp"), alone)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["albert", "t5"])
def test_fsdp_shards_a_layer_that_works_several_times_and_two_stacks_of_layers(
    family: str, tmp_path: Path
) -> None:
    made = FAMILIES[family]
    silent = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "dropout_rate": 0.0}
    sizes = made.sizes | silent | {"classifier_dropout_prob": 0.0, "classifier_dropout": 0.0}
    model = AutoModel.from_config(made.kind(**sizes | {"pad_token_id": 0, "eos_token_id": 3}))
    for folder in (tmp_path / "one", tmp_path / "two"):
        model.save_pretrained(folder / "encoder")
    finished_here(tmp_path / "one", attention_dropout=None)
    # T5 gets a warning of torch: its layers return a view.
    run = start(tmp_path / "two", attention_dropout=None, devices=2, strategy="fsdp")
    assert run.returncode == 0, run.stdout + run.stderr
    assert_like_one(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
def test_divergence_is_reported_once(folder: Path) -> None:
    run = start(folder, devices=2, lr=1e30)
    assert run.returncode == 1
    assert run.stderr.count("diverged in epoch 1") == 1
    assert run.stderr.splitlines()[-1].startswith("error: training diverged")


@pytest.mark.slow
def test_the_commands_of_the_page_run_and_torchrun_gives_the_bytes_of_dvc(
    finished_project: Path,
) -> None:
    model = finished_project / "models/ordinal/model.safetensors"
    one = model.read_bytes()
    made = []
    for command in console_commands("docs/scaling.md"):
        output = run_as_shown(finished_project, command)
        made.append(model.read_bytes())
        if command == "dvc repro":
            assert stages_run(output) == []
    assert made[0] != one
    assert set(made) == {made[0]}
    assert "devices: 2" in (finished_project / "dvc.lock").read_text()
    assert not list((finished_project / "checkpoints").glob("*"))
