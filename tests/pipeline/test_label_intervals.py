"""The label intervals that were asked for, in the evaluation and in predictions."""

import json
from pathlib import Path

import pandas as pd
import pytest

from ordinal import load
from tests.conftest import run_in, set_params

TEXTS = ("the room was good", "awful staff", "plain")


def test_the_evaluation_measures_the_chosen_intervals_by_label(finished_project: Path) -> None:
    chosen = {"coverage_by": "label", "interval": "shortest"}
    set_params(finished_project, {f"evaluate.{name}": value for name, value in chosen.items()})
    run = run_in(finished_project, "python", "-m", "stages.evaluate")
    assert run.returncode == 0, run.stderr
    validation, table = (
        pd.read_parquet(finished_project / f"data/predictions/{part}.parquet")
        for part in ("validation", "test")
    )
    for stars in range(1, 6):  # 12 rows are too few for any label
        rows = (validation["label"] == stars - 1).sum()
        line = f"evaluate: every interval contains {stars}: its {rows} validation rows are too few"
        assert f"{line} for a coverage of 0.9\n" in run.stdout
    assert (table["low"] == 0).all()
    assert (table["high"] == 4).all()

    set_params(finished_project, {"evaluate.coverage": 0.4})
    for stage in ("evaluate", "card"):
        run = run_in(finished_project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr
    table = pd.read_parquet(finished_project / "data/predictions/test.parquet")
    found = json.loads((finished_project / "metrics/details.json").read_text())["interval"]
    covered = table["label"].between(table["low"], table["high"])
    width = table["high"] - table["low"] + 1
    assert found["by_label"].keys() == {"1", "2", "3", "4", "5"}
    for stars, figures in found["by_label"].items():
        rows = table["label"] == int(stars) - 1
        assert figures["coverage"] == pytest.approx(covered[rows].mean(), abs=1e-6)
        assert figures["width"] == pytest.approx(width[rows].mean(), abs=1e-6)
    assert found["coverage"] == pytest.approx(covered.mean(), abs=1e-6)
    card = (finished_project / "metrics/model_card.md").read_text()
    share = f"{100 * found['by_label']['5']['coverage']:.1f} % (5)."
    assert share in card
    assert "It does not hold for each kind of text." in card

    options = ["--coverage", "0.4", "--coverage-by", "label", "--interval", "shortest"]
    out = str(finished_project / "out.csv")
    shown = run_in(finished_project, "ordinal", "predict", *TEXTS, *options, "--out", out)
    assert shown.returncode == 0, shown.stderr
    written = pd.read_csv(out).astype({"low": str, "high": str})
    folder = finished_project / "models/ordinal"
    predictor = load(folder, coverage=0.4, accelerator="cpu", **chosen)
    expected = [(one.low, one.high) for one in predictor.predict(TEXTS)]
    assert list(zip(written["low"], written["high"], strict=True)) == expected


def test_a_folder_of_predictions_has_one_kind_of_intervals(finished_project: Path) -> None:
    command = (
        "ordinal",
        "predict",
        "data/own/small.csv",
        "--text",
        "review",
        "--out",
        "predicted/",
    )
    assert run_in(finished_project, *command).returncode == 0
    manifest = finished_project / "predicted/_manifest.json"
    settings = json.loads(manifest.read_text())
    assert (settings["coverage_by"], settings["interval"]) == ("none", "adaptive")
    # One that an earlier version wrote lacks both.
    old = {key: settings[key] for key in settings if key not in ("coverage_by", "interval")}
    manifest.write_text(json.dumps(old))
    assert run_in(finished_project, *command).returncode == 0
    run = run_in(finished_project, *command, "--coverage-by", "label")
    assert run.returncode != 0
    assert "has predictions with another --coverage-by: choose another folder" in run.stderr
