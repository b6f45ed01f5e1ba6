"""A finished run, read from the files of the pipeline.

Parameters and stages come from dvc.lock, which records what has run. params.yaml and dvc.yaml may
have changed since.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, read_yaml
from ordinal.common.paths import DETAILS, DVC_LOCK, FACTS, PLOTS, PREDICTIONS, SPLIT

PLOT_TABLES = (
    "confusion",
    "mae_per_class",
    "mae_per_length",
    "reliability",
    "risk_coverage",
    "epochs",
    "steps",
)
TEXT_COLUMNS = dict.fromkeys(("label", "predicted", "tokens"), str)


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: the stages whose outputs it reads, and its own outputs."""

    after: list[str]
    outs: list[str]


@dataclass(frozen=True)
class Run:
    """The files of one run of the pipeline."""

    facts: dict[str, Any]
    """Facts about the data: name, licence, labels, rows, dropped rows (data/raw/facts.json)."""
    details: dict[str, Any]
    """All results (metrics/details.json, see `evaluation.results`)."""
    plots: dict[str, pd.DataFrame]
    """The tables of metrics/plots by name."""
    predictions: pd.DataFrame
    """The table of predictions of the test rows (see `evaluation.predictions`), with `text`."""
    parameters: dict[str, dict[str, Any]]
    """The parameters by section."""
    stages: dict[str, Stage]


def read_run(project: Path) -> Run:
    """Read the finished run of a project.

    Raises:
        UserError: a file is missing or damaged, or the files are not of one run.
    """
    try:
        lock = _read_lock(project / DVC_LOCK)
        _refuse_stale_stages(lock)
        _refuse_unfinished_training(project, lock)
        texts = _read_parquet(project / SPLIT / "test.parquet", ["row", "label", "text"])
        predictions = _read_parquet(project / PREDICTIONS / "test.parquet")
        run = Run(
            facts=read_json(project / FACTS),
            details=read_json(project / DETAILS),
            plots={name: _read_plot(project / PLOTS / f"{name}.csv") for name in PLOT_TABLES},
            predictions=join_texts(texts, predictions),
            parameters=parameters_of(lock),
            stages=_stages(lock),
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: run `make repro` first") from None
    _refuse_other_data(run)
    return run


def join_texts(texts: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with the texts of their rows."""
    texts = texts.astype(predictions[["row", "label"]].dtypes)  # their integers differ in size
    joined = texts.merge(predictions, on=["row", "label"])
    joined.attrs = predictions.attrs  # the costs, which a merge drops
    return joined


def _read_lock(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is missing: run `make repro` first")
    content = read_yaml(path)
    if not isinstance(content, dict) or "stages" not in content:
        raise UserError(f"{path} has no stages: restore it with `git checkout {path}`")
    stages: dict[str, Any] = content["stages"]
    return stages


def _read_plot(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=TEXT_COLUMNS, keep_default_na=False)


def _read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    with path.open("rb") as file:  # an error of pandas would not name the file
        return pd.read_parquet(file, columns=columns)


def _refuse_stale_stages(lock: Mapping[str, Any]) -> None:
    outs = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}
    for name, stage in lock.items():
        for dep in stage["deps"]:
            if dep["md5"] != outs.get(dep["path"], dep["md5"]):
                raise UserError(
                    f"{name} has not run since {dep['path']} changed: run `make repro` first"
                )


def _refuse_unfinished_training(project: Path, lock: Mapping[str, Any]) -> None:
    """Compare the learning curves, which the train stage writes while it runs, with dvc.lock."""
    for out in lock["train"]["outs"]:
        path = project / out["path"]
        if path.parent == project / PLOTS:
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False)
            if digest.hexdigest() != out["md5"]:
                raise UserError(
                    f"{out['path']} is not that of the last finished run: run `make repro` first"
                )


def _refuse_other_data(run: Run) -> None:
    """Compare predictions and plots: git may restore the metrics of another run, but not data/."""
    names = dict(enumerate(run.facts["labels"]))
    plotted = run.plots["confusion"]
    for column in ("label", "predicted"):
        if run.predictions[column].map(names).tolist() != plotted[column].tolist():
            raise UserError(
                "data/ and metrics/ are of different runs: run `dvc checkout`, or `make repro`"
            )


def parameters_of(lock: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the parameters by section, from the stages in dvc.lock.

    Stages read whole sections or keys like `train.decode`.
    """
    read = [
        item
        for stage in lock.values()
        for item in stage.get("params", {}).get("params.yaml", {}).items()
    ]
    sections: dict[str, dict[str, Any]] = {}
    for key, value in sorted(read, key=lambda item: "." in item[0]):
        section, _, name = key.partition(".")
        sections.setdefault(section, {}).update({name: value} if name else value)
    return sections


def _stages(lock: Mapping[str, Any]) -> dict[str, Stage]:
    makers = {out["path"]: name for name, stage in lock.items() for out in stage["outs"]}
    deps = {name: {dep["path"] for dep in stage["deps"]} for name, stage in lock.items()}
    return {
        name: Stage(
            sorted({makers[path] for path in deps[name] & makers.keys()}),
            [out["path"] for out in stage["outs"]],
        )
        for name, stage in lock.items()
    }
