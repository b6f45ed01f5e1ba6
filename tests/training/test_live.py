"""Learning curves while a run trains: tables, loggers, the line on the terminal."""

import contextlib
import json
import math
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.loggers import wandb as lightning_wandb
from transformers import PreTrainedModel

from ordinal.common.choices import LoggerName
from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.training import callbacks
from ordinal.training.curves import History
from ordinal.training.fine_tuning import fit
from ordinal.training.loggers import SERVER, new_logger
from tests.conftest import ROOT, results_of, run_in, set_params
from tests.loopback import Answer, Loopback, serving
from tests.tiny import classifier_for, draw

RECIPE = Train(
    epochs=3, batch_size=4, lr=0.01, layer_decay=0.9, accelerator="cpu", checkpoint_every=1
)
EPOCH = 16  # optimiser steps
STEPS = RECIPE.epochs * EPOCH
API = "/api/2.0/mlflow"

Curves = dict[str, dict[int, float]]
"""By name, the value of each step."""


class Stop(Exception):  # noqa: N818, like StopIteration
    """Ends a run."""


class Watch(Callback):
    """Read the tables before each batch, and stop before one of them."""

    def __init__(self, folder: Path, stop: int | None = None) -> None:
        self.folder = folder
        self.stop = stop
        self.seen: list[dict[str, str]] = []

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        if len(self.seen) == self.stop:
            raise Stop
        self.seen.append(tables_in(self.folder))


def tables_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.csv")}


def tables_of(history: History) -> dict[str, str]:
    return {
        f"{name}.csv": pd.DataFrame(rows).to_csv(index=False)
        for name, rows in (("epochs", history.epochs), ("steps", history.steps))
    }


def train(
    encoder: Path, *watches: Callback, **arguments: object
) -> tuple[PreTrainedModel, History]:
    model = classifier_for(encoder, RECIPE)
    history = fit(model, draw(61), draw(20, seed=1), RECIPE, callbacks=watches, **arguments)
    return model, history


def logger_of(name: LoggerName, folder: Path) -> Logger | None:
    return new_logger(RECIPE.model_copy(update={"logger": name}), folder, "run")


def weights(model: PreTrainedModel) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in model.state_dict().items()}


@pytest.fixture(scope="module")
def plain(tiny_encoder: Path) -> tuple[dict[str, bytes], History]:
    """The weights and the learning curves of a run without a logger."""
    model, history = train(tiny_encoder)
    return weights(model), history


@pytest.fixture
def _every_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save every checkpoint that is due, however slow it is."""
    monkeypatch.setattr(callbacks, "CHECKPOINT_TIME", math.inf)


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A server that answers like MLflow's."""
    info = {"run_id": "r", "run_uuid": "r", "experiment_id": "1", "status": "RUNNING"}
    info |= {"artifact_uri": "x", "lifecycle_stage": "active"}
    experiment = {"experiment_id": "1", "name": "ordinal", "lifecycle_stage": "active"}
    answers = {
        "experiments/get-by-name?experiment_name=ordinal": {"experiment": experiment},
        "runs/create": {"run": {"info": info, "data": {}}},
        "runs/get?run_uuid=r&run_id=r": {"run": {"info": info, "data": {}}},
        "runs/log-batch": {},
        "runs/update": {"run_info": info},
    }
    with serving() as server:
        for path, content in answers.items():
            server.answer(f"{API}/{path}", Answer(body=json.dumps(content).encode()))
        monkeypatch.setenv(SERVER, server.url)
        yield server


def curves_of(name: str, logs: Path, server: Loopback) -> Curves:
    """Read what a logger wrote."""
    curves: Curves = defaultdict(dict)
    if name == "csv":
        for row in pd.read_csv(logs / "csv/run/version_0/metrics.csv").to_dict("records"):
            for key in row.keys() - {"step"}:
                if row[key] == row[key]:
                    curves[key][int(row["step"])] = row[key]
    elif name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(logs / "tensorboard/run/version_0")).Reload()
        for tag in events.Tags()["scalars"]:
            curves[tag] = {event.step: event.value for event in events.Scalars(tag)}
    elif name == "dvclive":
        folder = logs / "dvclive/run/plots/metrics"
        for path in folder.rglob("*.tsv"):  # of train_loss, it makes train/loss
            rows = pd.read_csv(path, sep="\t")
            name = "_".join(path.relative_to(folder).with_suffix("").parts)
            curves[name] = dict(zip(rows["step"], rows.iloc[:, -1], strict=True))
    else:
        batches = [json.loads(body) for path, body in server.bodies if path.endswith("log-batch")]
        for point in (point for batch in batches for point in batch.get("metrics", ())):
            curves[point["key"]][int(point["step"])] = point["value"]
    return curves


@pytest.mark.parametrize("name", ["csv", "tensorboard", "dvclive", "mlflow"])
def test_a_logger_gets_the_curves_and_changes_no_byte(
    name: LoggerName,
    tiny_encoder: Path,
    tmp_path: Path,
    plain: tuple[dict[str, bytes], History],
    tracking: Loopback,
) -> None:
    logger = logger_of(name, tmp_path / "logs")
    model, history = train(tiny_encoder, tables=tmp_path / "plots", logger=logger)
    assert (weights(model), history) == plain
    assert tables_in(tmp_path / "plots") == tables_of(history)

    curves = curves_of(name, tmp_path / "logs", tracking)
    losses = {row["step"]: row["train_loss"] for row in history.steps}
    assert curves["train_loss"] == pytest.approx(losses)
    for figure in ("validation_loss", "validation_mae"):
        by_step = {row["epoch"] * EPOCH: row[figure] for row in history.epochs}
        assert curves[figure] == pytest.approx(by_step)
    rising = round(RECIPE.warmup * STEPS)
    rates = {
        step: RECIPE.lr * min(step / rising, (STEPS - step) / (STEPS - rising)) for step in losses
    }
    assert curves["learning_rate"] == pytest.approx(rates)
    assert curves["rows_per_second"].keys() == losses.keys()
    assert min(curves["rows_per_second"].values()) > 0
    if name == "mlflow":
        assert json.loads(tracking.received[f"{API}/runs/update"])["status"] == "FINISHED"


def test_the_parameters_are_logged(tmp_path: Path) -> None:
    logger_of("csv", tmp_path)
    logged = yaml.safe_load((tmp_path / "csv/run/version_0/hparams.yaml").read_text())
    assert logged == RECIPE.model_dump(exclude={"logger"})
    assert logger_of("none", tmp_path) is None


def test_the_tables_grow_while_the_run_trains(
    tiny_encoder: Path, tmp_path: Path, plain: tuple[dict[str, bytes], History]
) -> None:
    watch = Watch(tmp_path)
    _, history = train(tiny_encoder, watch, tables=tmp_path)
    assert history == plain[1]
    assert watch.seen[0] == {}
    for step, seen in enumerate(watch.seen):
        so_far = History(
            [row for row in history.epochs if row["epoch"] * EPOCH <= step],
            [row for row in history.steps if row["step"] <= step],
        )
        known = {name: table for name, table in tables_of(so_far).items() if len(table) > 1}
        assert seen == known


@pytest.mark.usefixtures("_every_checkpoint")
def test_a_resumed_run_begins_with_the_points_from_before_it_was_stopped(
    tiny_encoder: Path, tmp_path: Path, plain: tuple[dict[str, bytes], History]
) -> None:
    folders = {"checkpoints": tmp_path / "checkpoints", "tables": tmp_path / "plots"}
    with pytest.raises(Stop):
        train(tiny_encoder, Watch(tmp_path / "plots", stop=20), **folders)
    stopped = tables_in(tmp_path / "plots")
    for table in stopped:
        (tmp_path / "plots" / table).unlink()  # as DVC does before it runs a stage again
    watch = Watch(tmp_path / "plots")
    logger = logger_of("csv", tmp_path / "logs")
    model, history = train(tiny_encoder, watch, **folders, logger=logger)
    assert 0 < len(watch.seen) < STEPS
    before = {name: text.splitlines() for name, text in watch.seen[0].items()}
    assert before.keys() == {"epochs.csv", "steps.csv"}
    for name, lines in before.items():
        assert lines == stopped[name].splitlines()[: len(lines)]
    assert (weights(model), history) == plain
    assert tables_in(tmp_path / "plots") == tables_of(history)
    logged = pd.read_csv(tmp_path / "logs/csv/run/version_0/metrics.csv")
    assert logged["train_loss"].dropna().tolist() == [row["train_loss"] for row in history.steps]


class Failing(CSVLogger):
    """Fails after so many points, or at the end."""

    def __init__(self, folder: Path, points: float) -> None:
        super().__init__(folder)
        self.points = points

    def log_metrics(self, metrics, step=None) -> None:
        self.points -= 1
        if self.points < 0:
            raise ConnectionError("the server\nis gone")

    def finalize(self, status) -> None:
        raise ConnectionError("the server\nis gone")


@pytest.mark.parametrize("points", [5, math.inf])
def test_a_logger_that_fails_does_not_stop_the_training(
    points: float,
    tiny_encoder: Path,
    tmp_path: Path,
    plain: tuple[dict[str, bytes], History],
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, history = train(tiny_encoder, logger=Failing(tmp_path, points))
    assert (weights(model), history) == plain
    printed = capsys.readouterr().out
    assert printed.count("goes on without its logger, which failed: the server is gone\n") == 1


def test_a_logger_that_fails_at_the_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file\n")
    with pytest.raises(UserError, match=r"train\.logger csv can't be used: .*logs"):
        logger_of("csv", tmp_path / "logs")


def test_a_logger_without_its_package_or_server_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dvclive.lightning", None)
    monkeypatch.setattr(lightning_wandb, "_WANDB_AVAILABLE", False)
    monkeypatch.delenv(SERVER, raising=False)
    for name in ("dvclive", "wandb"):
        with pytest.raises(UserError) as raised:
            logger_of(name, tmp_path)
        assert str(raised.value) == (
            f"train.logger is {name}, whose package is missing: install it with "
            f"`pip install '.[{name}]'`"
        )
    with pytest.raises(UserError, match=f"needs a server: set the environment variable {SERVER}"):
        logger_of("mlflow", tmp_path)


def test_each_logger_with_a_package_is_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = set(get_args(LoggerName)) - {"none", "csv"}
    assert names <= project["optional-dependencies"].keys()


def test_weights_and_biases_works_offline(
    tiny_encoder: Path,
    tmp_path: Path,
    plain: tuple[dict[str, bytes], History],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = logger_of("wandb", tmp_path)
    model, history = train(tiny_encoder, logger=logger)
    wandb.finish()
    assert (weights(model), history) == plain
    assert [*tmp_path.glob("wandb/offline-run-*/*.wandb")]


def test_the_train_stage_writes_the_same_files_with_a_logger(finished_project: Path) -> None:
    before = results_of(finished_project)
    set_params(finished_project, {"train.logger": "tensorboard"})
    run = run_in(finished_project, "python", "-m", "stages.train")
    assert run.returncode == 0, run.stderr
    assert results_of(finished_project) == before
    assert [*finished_project.glob("logs/tensorboard/*/version_0/events.*")]
    status = run_in(finished_project, "git", "status", "--porcelain").stdout
    assert status == " M params.yaml\n"


@pytest.mark.usefixtures("_every_checkpoint")
def test_a_terminal_shows_one_line_with_loss_validation_mae_and_time_left(
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with contextlib.suppress(Stop):
        train(tiny_encoder, Watch(tmp_path, stop=20), checkpoints=tmp_path)
    captured = capsys.readouterr()
    assert "train: epoch" not in captured.out
    assert captured.err.count("\n") == 1
    _, history = train(tiny_encoder, checkpoints=tmp_path)
    states = capsys.readouterr().err.removesuffix("\n").split("\r")
    done = [int(state[1]) for line in states if (state := re.search(rf"(\d+)/{STEPS} \[", line))]
    assert done[0] > 0  # it resumed
    assert done[-1] == STEPS
    loss, mae = history.steps[-1]["train_loss"], history.epochs[-1]["validation_mae"]
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d, .*batch", states[-1])
    assert f"loss {loss:.4g}, validation MAE {mae:.4g}" in states[-1]
