"""A finished run, read from the files of the pipeline: all that `ordinal report` tells of it.

The parameters and the stages are those of dvc.lock, which says what ran; params.yaml and dvc.yaml
may have changed since.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, read_yaml

PLOTS = ("confusion", "mae_per_class", "mae_per_length", "reliability", "epochs", "steps")
TEXT_COLUMNS = dict.fromkeys(("label", "predicted", "tokens"), str)


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: the stages whose outputs it reads, and the paths of its own."""

    after: list[str]
    outs: list[str]


@dataclass(frozen=True)
class Run:
    """What one run of the pipeline left behind."""

    facts: dict[str, Any]
    """The record of the data: name, licence, labels, rows, what was dropped."""
    split: dict[str, Any]
    """Rows of each part, and duplicates of earlier parts."""
    tokens: dict[str, Any]
    """Of each part: rows, mean and greatest length, and how many were cut."""
    metrics: dict[str, Any]
    plots: dict[str, pd.DataFrame]
    """The tables of metrics/plots, by name."""
    predictions: pd.DataFrame
    """A test row each: `row`, `text`, `label`, `predicted`, `low`, `high`, `p_…`."""
    parameters: dict[str, dict[str, Any]]
    """By section."""
    stages: dict[str, Stage]


def read_run(project: Path) -> Run:
    """Read the finished run of a project.

    Raises:
        UserError: a file is missing, or the files are of different runs.
    """
    metrics, data = project / "metrics", project / "data"
    try:
        lock = _read_lock(project / "dvc.lock")
        _refuse_stale_stages(lock)
        plots = {name: _read_plot(metrics / f"plots/{name}.csv") for name in PLOTS}
        predictions = _read_parquet(data / "predictions/test.parquet")
        texts = _read_parquet(data / "split/test.parquet", ["row", "label", "text"])
        run = Run(
            facts=read_json(data / "raw/facts.json"),
            split=read_json(metrics / "split.json"),
            tokens=read_json(metrics / "tokenize.json"),
            metrics=read_json(metrics / "metrics.json"),
            plots=plots,
            predictions=predictions.merge(texts, on=["row", "label"]),
            parameters=_parameters(lock),
            stages=_stages(lock),
        )
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing: run `make repro` first") from None
    _refuse_other_data(run)
    return run


def _read_lock(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is missing: run `make repro` first")
    content = read_yaml(path)
    if not isinstance(content, dict) or "stages" not in content:
        raise UserError(f"{path} names no stages: take it back with `git checkout {path}`")
    stages: dict[str, Any] = content["stages"]
    return stages


def _read_plot(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=TEXT_COLUMNS, keep_default_na=False)


def _read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    with path.open("rb") as file:  # pandas' error does not name the file
        return pd.read_parquet(file, columns=columns)


def _refuse_stale_stages(lock: Mapping[str, Any]) -> None:
    made = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"]}
    for name, stage in lock.items():
        for read in stage["deps"]:
            if read["md5"] != made.get(read["path"], read["md5"]):
                raise UserError(
                    f"{name} has not run since {read['path']} changed: run `make repro` first"
                )


def _refuse_other_data(run: Run) -> None:
    """Git brings back the metrics of another run, but not its data."""
    names = dict(enumerate(run.facts["labels"]))
    told = run.plots["confusion"]
    for column in ("label", "predicted"):
        if run.predictions[column].map(names).tolist() != told[column].tolist():
            raise UserError(
                "data/ and metrics/ are of different runs: run `dvc checkout`, or `make repro`"
            )


def _parameters(lock: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By section: stages read whole sections, and single keys, such as `train.decode`."""
    read = [item for stage in lock.values() for item in stage["params"]["params.yaml"].items()]
    sections: dict[str, dict[str, Any]] = {}
    for key, value in sorted(read, key=lambda item: "." in item[0]):
        section, _, name = key.partition(".")
        sections.setdefault(section, {}).update({name: value} if name else value)
    return sections


def _stages(lock: Mapping[str, Any]) -> dict[str, Stage]:
    maker = {out["path"]: name for name, stage in lock.items() for out in stage["outs"]}
    reads = {name: {read["path"] for read in stage["deps"]} for name, stage in lock.items()}
    return {
        name: Stage(
            sorted({maker[path] for path in reads[name] & maker.keys()}),
            [out["path"] for out in stage["outs"]],
        )
        for name, stage in lock.items()
    }
