"""The pipeline under DVC, with a small file of reviews and a tiny encoder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ordinal.common.params import Train
from ordinal.common.paths import PARTS
from ordinal.distributions.calibration import apply_temperature
from ordinal.evaluation.metrics import distribution_metrics
from ordinal.model.classifier import load_calibration, load_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.tokenization.tokens import Tokens
from tests.conftest import WORDS, results_of, run_in, stages_run, write_reviews_csv


def repro(project: Path, *arguments: str) -> list[str]:
    run = run_in(project, "dvc", "repro", *arguments)
    assert run.returncode == 0, run.stdout + run.stderr
    return stages_run(run.stdout)


def test_a_first_run_writes_consistent_results(finished_project: Path) -> None:
    split = {part: pq.read_table(finished_project / f"data/split/{part}.parquet") for part in PARTS}
    assert [len(table) for table in split.values()] == [84, 12, 24]
    tokens = pa.ipc.open_file(finished_project / "data/tokenized/test.arrow").read_all()
    assert tokens.column_names == ["input_ids", "label"]
    assert tokens["label"].equals(split["test"]["label"])
    assert str(tokens.schema.field("input_ids").type) == "large_list<item: int32>"

    metrics = json.loads((finished_project / "metrics/details.json").read_text())
    names = [
        "mae",
        "rmse",
        "accuracy",
        "off_by_one",
        "qwk",
        "macro_mae",
        "spearman",
        "kendall",
        "rps",
        "ece",
        "log_loss",
    ]
    for part in PARTS:
        assert list(metrics[part]) == names
    assert metrics["data"] == {"name": "small.csv", "synthetic": False, "rows": 120}
    assert metrics["baseline"] == json.loads(
        (finished_project / "metrics/baseline.json").read_text()
    )
    interval = metrics["bootstrap"]["mae"]
    assert interval["low"] <= metrics["test"]["mae"] <= interval["high"]

    predictions = pd.read_parquet(finished_project / "data/predictions/test.parquet")
    assert predictions["row"].tolist() == split["test"]["row"].to_pylist()
    chances = predictions[[f"p_{stars}" for stars in range(1, 6)]]
    assert chances.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    folder = finished_project / "models/ordinal"
    calibration = load_calibration(folder)
    assert calibration.rows == 12
    test = Tokens.load(finished_project / "data/tokenized/test.arrow")
    uncalibrated = predict_probabilities(torch_network(load_classifier(folder)), test)
    tempered = apply_temperature(uncalibrated, calibration.temperature)
    np.testing.assert_allclose(chances, tempered, atol=1e-5)
    assert not np.allclose(chances, uncalibrated, atol=1e-3)
    found = metrics["calibration"]
    assert found["temperature"] == pytest.approx(calibration.temperature, abs=1e-6)
    assert found["temperature"] > 0
    assert list(found["before"]) == list(found["after"]) == ["rps", "ece", "log_loss"]
    assert found["after"] == {name: metrics["test"][name] for name in found["after"]}
    labels = predictions["label"].to_numpy()
    assert found["before"] == pytest.approx(distribution_metrics(labels, uncalibrated), abs=1e-5)

    held = predictions["label"].between(predictions["low"], predictions["high"]).mean()
    assert metrics["interval"]["target"] == 0.9
    assert metrics["interval"]["coverage"] == pytest.approx(held, abs=1e-6)
    mae = (predictions["predicted"] - predictions["label"]).abs().mean()
    assert mae == pytest.approx(metrics["test"]["mae"], abs=1e-6)

    epochs = pd.read_csv(finished_project / "metrics/plots/epochs.csv")
    assert epochs["epoch"].tolist() == [1, 2]
    reliability = pd.read_csv(finished_project / "metrics/plots/reliability.csv")
    assert reliability.groupby("calibration")["rows"].sum().to_dict() == {"before": 24, "after": 24}
    per_length = pd.read_csv(finished_project / "metrics/plots/mae_per_length.csv")
    assert per_length["rows"].sum() == 24
    mean = np.average(per_length["mae"], weights=per_length["rows"])
    assert mean == pytest.approx(metrics["test"]["mae"], abs=1e-5)
    edges = per_length["tokens"].str.split(" to ", expand=True).astype(int).to_numpy()
    assert (edges.min(), edges.max()) == (test.lengths.min(), test.lengths.max())
    assert not list(finished_project.glob("data/.*"))


def test_the_table_of_every_plot_is_an_output_with_the_columns_of_the_plot(
    finished_project: Path,
) -> None:
    plots = yaml.safe_load((finished_project / "dvc.yaml").read_text())["plots"]
    stages = yaml.safe_load((finished_project / "dvc.lock").read_text())["stages"]
    outs = {out["path"] for stage in stages.values() for out in stage["outs"]}
    drawn = set()
    for plot in plots:
        ((title, how),) = plot.items()
        ((path, columns),) = how["y"].items()
        table = pd.read_csv(finished_project / path)
        assert {how["x"], *([columns] if isinstance(columns, str) else columns)} <= {*table}, title
        drawn.add(path)
    written = (finished_project / "metrics/plots").iterdir()
    assert drawn == {f"metrics/plots/{path.name}" for path in written}
    assert drawn <= outs


def test_a_second_run_runs_nothing(finished_project: Path) -> None:
    before = results_of(finished_project)
    assert repro(finished_project) == []
    assert "up to date" in run_in(finished_project, "dvc", "status").stdout
    assert results_of(finished_project) == before


def test_a_new_learning_rate_reruns_train_evaluate_and_card(finished_project: Path) -> None:
    run = run_in(finished_project, "dvc", "exp", "run", "-S", "train.lr=3e-5")
    assert run.returncode == 0, run.stdout + run.stderr
    assert stages_run(run.stdout) == ["train", "evaluate", "card"]
    # Hydra writes a string, because YAML does not read 3e-05 as a number. The stage converts it.
    assert yaml.safe_load((finished_project / "params.yaml").read_text())["train"]["lr"] == "3e-05"
    assert Train.load(finished_project / "params.yaml").lr == 3e-5

    diff = json.loads(run_in(finished_project, "dvc", "metrics", "diff", "--json").stdout)
    assert list(diff) == ["metrics/metrics.json"]
    assert "test.rps" in diff["metrics/metrics.json"]
    shown = run_in(finished_project, "dvc", "metrics", "diff").stdout.splitlines()
    assert 3 <= len(shown) <= 25
    assert max(map(len, shown)) <= 100
    table = run_in(finished_project, "dvc", "exp", "show", "--csv").stdout
    assert "3e-05" in table
    metrics = json.loads(run_in(finished_project, "dvc", "metrics", "show", "--json").stdout)
    assert len(leaves(metrics)) <= 25  # each is a column of `dvc exp show`


def leaves(content: object) -> list[object]:
    """Return the values of nested dictionaries."""
    if not isinstance(content, dict):
        return [content]
    return [leaf for value in content.values() for leaf in leaves(value)]


def test_an_experiment_runs_in_a_temporary_folder(finished_project: Path) -> None:
    before = results_of(finished_project)
    run = run_in(finished_project, "dvc", "exp", "run", "--temp", "-S", "evaluate.resamples=101")
    assert run.returncode == 0, run.stdout + run.stderr
    assert stages_run(run.stdout) == ["evaluate", "card"]
    assert ",101," in run_in(finished_project, "dvc", "exp", "show", "--csv").stdout
    assert results_of(finished_project) == before


def test_the_saved_model_loads_in_plain_transformers(finished_project: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = finished_project / "models/ordinal"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model(**tokenizer("a good room", return_tensors="pt")).logits.shape == (1, 5)
    assert model.config.ordinal == {"labels": list("12345"), "loss": "emd", "decode": "median"}
    assert model.config.id2label == dict(enumerate("12345"))
    card = (folder / "README.md").read_text()
    assert card.startswith("---\n")
    assert "bert encoder on 84 texts of small.csv" in card


def test_a_bad_row_stops_the_pipeline(small_project: Path) -> None:
    with (small_project / "data/own/small.csv").open("a") as file:
        file.write("fine,seven\n")
    run = run_in(small_project, "dvc", "repro", "download")
    assert run.returncode != 0
    assert "row 121" in run.stderr
    assert "'seven'" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (small_project / "data/raw").exists()


def test_a_change_of_the_users_file_reruns_the_download(small_project: Path) -> None:
    assert repro(small_project, "split") == ["download", "split"]
    with (small_project / "data/own/small.csv").open("a") as file:
        file.write(f"one more {WORDS[2]} room,3\n")
    assert repro(small_project, "split") == ["download", "split"]
    assert len(pq.read_table(small_project / "data/raw/reviews.parquet")) == 121


def test_a_file_under_dvc_is_there_in_a_temporary_experiment(
    project: Path, tiny_encoder: Path
) -> None:
    write_reviews_csv(project / "data/own/mine.csv")
    assert run_in(project, "dvc", "add", "data/own/mine.csv").returncode == 0
    assert run_in(project, "git", "commit", "--quiet", "--message", "Mine").returncode == 0
    options = {"data.name": "data/own/mine.csv", "data.text": "review", "data.label": "stars"}
    settings = [part for key, value in options.items() for part in ("-S", f"{key}={value}")]
    run = run_in(project, "dvc", "exp", "run", "--temp", *settings, "download")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "120 reviews of data/own/mine.csv" in run.stdout


def test_results_without_a_run_says_what_to_do(project: Path) -> None:
    shutil.rmtree(project / "metrics")
    run = run_in(project, "ordinal", "results")
    assert run.returncode == 1
    assert "run `make repro` first" in run.stderr
