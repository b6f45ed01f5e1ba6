"""Costs of errors go from the parameters to the predictions of every form of the model."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ordinal import load
from ordinal.distributions.decoding import decode
from ordinal.evaluation.predictions import probabilities_of, shared_costs
from ordinal.prediction.bf16 import export_bf16
from ordinal.prediction.onnx import export_onnx, quantize_onnx
from ordinal.tokenization.tokens import Tokens
from tests.conftest import run_in, set_params, train_again

COSTS = [[float(abs(a - b) * (10 if a > b else 1)) for b in range(5)] for a in range(5)]
TEXTS = ["the room was good", "awful", "bed was superb room", "poor bed", "plain staff"]


def test_costs_reach_the_metrics_and_all_forms_of_the_model(finished_project: Path) -> None:
    set_params(finished_project, {"data.costs": COSTS, "train.decode": "cost"})
    for stage in ("download", "baseline"):
        run = run_in(finished_project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr
    train_again(finished_project, {})
    facts, details, headline = (
        json.loads((finished_project / name).read_text())
        for name in ("data/raw/facts.json", "metrics/details.json", "metrics/metrics.json")
    )
    folder = finished_project / "models/ordinal"
    assert facts["costs"] == COSTS
    assert json.loads((folder / "config.json").read_text())["ordinal"]["costs"] == COSTS

    table = pd.read_parquet(finished_project / "data/predictions/test.parquet")
    assert shared_costs([table]) == COSTS
    predicted = decode(probabilities_of(table), "cost", COSTS)
    assert predicted.tolist() == table["predicted"].tolist()
    mean = np.mean([COSTS[a][b] for a, b in zip(table["label"], table["predicted"], strict=True)])
    assert abs(details["test"]["cost"] - mean) < 1e-6
    assert {"cost"} <= details["train"].keys() & details["bootstrap"].keys()
    assert {"cost"} <= details["baseline"]["median"].keys() & details["baseline"]["tfidf"].keys()
    assert headline["baseline"]["tfidf"].keys() == {"mae", "cost"}
    assert "mean cost of errors" in (finished_project / "metrics/model_card.md").read_text()
    shown = run_in(finished_project, "ordinal", "results")
    assert "cost" in shown.stdout

    validation = Tokens.load(finished_project / "data/tokenized/validation.arrow")
    whole, small, half = (finished_project / name for name in ("m.onnx", "s.onnx", "bf16"))
    export_onnx(folder, whole)
    quantize_onnx(whole, small, validation)
    export_bf16(folder, half, validation)
    expected = [one.label for one in load(folder, accelerator="cpu").predict(TEXTS)]
    for form, precise in ((whole, None), (small, whole), (half, folder)):
        predictor = load(form, precise=precise, accelerator="cpu")
        assert (predictor.rule, predictor.costs) == ("cost", COSTS)
        assert [one.label for one in predictor.predict(TEXTS)] == expected


def test_without_costs_nothing_mentions_them(finished_project: Path) -> None:
    for file in ("data/raw/facts.json", "metrics/details.json", "models/ordinal/config.json"):
        assert '"cost' not in (finished_project / file).read_text()
    schema = pq.read_schema(finished_project / "data/predictions/test.parquet")
    assert "PANDAS_ATTRS" not in str(schema.metadata)


def test_the_decoding_by_costs_needs_costs_of_the_right_size(finished_project: Path) -> None:
    set_params(finished_project, {"train.decode": "cost"})
    for stage in ("baseline", "train"):
        run = run_in(finished_project, "python", "-m", f"stages.{stage}")
        assert run.returncode != 0
        assert "train.decode is cost, but the data has no costs of errors: set data" in run.stderr
    set_params(finished_project, {"data.costs": [[0, 1], [10, 0]]})
    run = run_in(finished_project, "python", "-m", "stages.download")
    assert run.returncode != 0
    assert (
        "data.costs has 2 rows and columns, but the data has 5 labels: give one row and one column "
        "per label, lowest first (1, 2, 3, 4, 5)" in run.stderr
    )
