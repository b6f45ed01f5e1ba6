"""The model card says what the run's files say, of any data, and its examples work as given."""

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

import ordinal
from ordinal.cards.model_card import METRICS, Encoder, Records, model_card
from ordinal.common.files import read_json, sha256
from ordinal.common.params import Train
from ordinal.common.types import Decoding, LossName
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.model.coral import output_layer
from ordinal.model.readme import readme, usage
from tests.conftest import ROOT, environment

HOSTILE = [
    "a|b",
    "x: y",
    "<script>alert(1)</script>",
    "`code` **bold** _it_",
    "[link](http://127.0.0.1)",
    "---\n# not a heading",
    "&amp; $x$ \\ ~~no~~ \"quoted\" 'too'",
]


def a_run(**facts: object) -> Records:
    metrics = read_json(ROOT / "metrics/metrics.json")
    metrics["test"]["kendall"] = None
    return Records(
        facts={
            "name": "reviews.csv",
            "synthetic": False,
            "licence": "CC0",
            "origin": "somewhere",
            "labels": ["1", "2"],
            "rows": 2500,
            "rows_per_label": {"1": 1500, "2": 1000},
        }
        | facts,
        config={"ordinal": {"labels": facts.get("labels", ["1", "2"])} | CORN},
        metrics=metrics,
        split=read_json(ROOT / "metrics/split.json"),
        tokens=read_json(ROOT / "metrics/tokenize.json"),
        settings={"tokenize": {"max_length": 64}, "train": {"lr": 0.01}},
        encoder=Encoder("an encoder", "Apache-2.0", "someone/encoder"),
        weights="0" * 64,
    )


CORN = {"loss": "corn", "decode": "median"}


class Page(HTMLParser):
    """What a reader sees of a card: its text, and the tags that it is made of."""

    def __init__(self, card: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        body = card.split("\n---\n", 1)[1]
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(body))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_metadata_carry_the_test_metrics() -> None:
    run = a_run()
    data = ModelCard(model_card(run)).data
    measured = {name: value for name, value in run.metrics["test"].items() if value is not None}
    assert {found.metric_type: found.metric_value for found in data.eval_results} == measured
    assert "kendall" not in measured
    assert data.base_model == "someone/encoder"
    assert data.tags == ["ordinal-regression", "corn"]
    assert {found.dataset_name for found in data.eval_results} == {"reviews.csv"}


def test_every_metric_has_a_name_and_a_direction() -> None:
    assert list(METRICS) == list(read_json(ROOT / "metrics/metrics.json")["test"])
    assert all(name.endswith((" ↓", " ↑")) for name in METRICS.values())


def test_the_text_carries_intervals_baselines_calibration_coverage_and_limits() -> None:
    run = a_run(sha256="f" * 64)
    card = model_card(run)
    metrics = run.metrics
    low, high = (metrics["test_95_percent"]["mae"][end] for end in ("low", "high"))
    baselines = [metrics["baseline"][name]["mae"] for name in ("median", "tfidf")]
    figures = [f"{value:.4f}" for value in (*baselines, metrics["test"]["mae"])]
    assert f"| {' | '.join([METRICS['mae'], *figures])} | {low:.4f} to {high:.4f} |" in card
    assert f"T = {metrics['test_calibration']['temperature']:.4f}" in card
    assert f"hold it in {metrics['test_conformal']['coverage']:.1%} of the test rows" in card
    assert f"are {metrics['test_conformal']['mean_width']:.2f} labels wide" in card
    assert "2500 rows: 1750 for training, 250 for validation" in card
    for said in ("| train.lr | 0.01 |", "f" * 64, "0" * 64, "CC0", "rarest label, 2, has 1000"):
        assert said in card


def test_synthetic_data_are_called_synthetic() -> None:
    assert "synthetic" not in model_card(a_run())
    card = model_card(a_run(synthetic=True))
    assert "**The data are synthetic.**" in card
    assert ModelCard(card).data.eval_results[0].dataset_name == "reviews.csv (synthetic)"


def test_text_of_the_users_own_is_shown_and_never_markup() -> None:
    harmless = ["one"] * len(HOSTILE)

    def both(texts: list[str]) -> list[str]:
        rows = {
            text + ("" if text in HOSTILE else str(index)): 9 for index, text in enumerate(texts)
        }
        every = " ".join(texts)
        facts: dict[str, Any] = {"name": every, "licence": every, "origin": every}
        run = a_run(**facts, labels=texts, rows_per_label=rows)
        recipe = Train(loss="corn")
        return [model_card(run), readme(run.facts, every, 5, recipe)]

    for card, expected in zip(both(HOSTILE), both(harmless), strict=True):
        page = Page(card)
        assert page.tags == Page(expected).tags
        for text in HOSTILE:
            assert " ".join(text.split()) in page.text
        metadata = yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))
        if "model-index" in metadata:
            dataset = metadata["model-index"][0]["results"][0]["dataset"]
            assert dataset["name"] == " ".join(HOSTILE)


def test_a_real_run_has_a_card_of_its_own_files(finished_project: Path) -> None:
    card = (finished_project / "metrics/model_card.md").read_text()
    measured = read_json(finished_project / "metrics/metrics.json")["test"]
    found = {
        result.metric_type: result.metric_value for result in ModelCard(card).data.eval_results
    }
    assert found == {name: value for name, value in measured.items() if value is not None}
    assert sha256(finished_project / "models/ordinal/model.safetensors") in card
    assert sha256(finished_project / "data/own/small.csv") in card
    assert "Fine-tuned from tiny (licence: not stated)" in card
    assert "| train.epochs | 2 |" in card
    assert str(finished_project) not in card
    folder_readme = (finished_project / "models/ordinal/README.md").read_text()
    assert usage("emd", "median") in card
    assert usage("emd", "median") in folder_readme


PLAIN = """
import importlib.util, json, os, sys
sys.modules["ordinal"] = None  # any import of it fails
assert importlib.util.find_spec("sentence_transformers") is None
from transformers import pipeline
for folder, code in json.load(sys.stdin).items():
    os.chdir(folder)
    exec(code)
    told = pipeline("text-classification", model="models/ordinal", top_k=None)(["superb room"])[0]
    print(len(told))
"""


def test_the_plain_example_gives_the_same_predictions_with_no_code_of_ours(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    """For each loss and each rule of decoding, in a process where our package can't be imported."""
    texts = ["superb room", "awful bed 17 was the staff"]
    names = ["poor", "fair", "good", "superb"]
    choices: list[tuple[LossName, Decoding]] = [
        (loss, get_args(Decoding)[index % 3]) for index, loss in enumerate(get_args(LossName))
    ]
    choices += [("corn", "mean"), ("corn", "mode")]
    programs, expected = {}, []
    for index, (loss, rule) in enumerate(choices):
        model = new_classifier(tiny_encoder, names, Train(loss=loss, decode=rule, seed=index))
        with torch.no_grad():
            output_layer(model).weight.normal_(std=3)
        folder = tmp_path / str(index) / "models/ordinal"
        folder.mkdir(parents=True)
        save_classifier(model, Calibration(1.7, [0.1, 0.5, 0.9] * 20), tiny_encoder, "", folder)
        predictions = ordinal.load(folder, accelerator="cpu").predict(texts)
        outputs = 3 if loss in ("corn", "coral") else 4
        expected.append((predictions, outputs))
        code = re.findall(r"```python\n(.*?)```", usage(loss, rule), re.S)[1]
        programs[str(tmp_path / str(index))] = code.replace('["good", "bad"]', repr(texts)) + (
            "print(json.dumps([[labels[index] for index in predicted], probabilities.tolist()]))\n"
        )
    run = subprocess.run(
        [sys.executable, "-c", PLAIN],
        input=json.dumps(programs),
        env=environment(CUDA_VISIBLE_DEVICES=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == 3 * len(expected)
    labels_seen = set()
    for (predictions, outputs), said, told in zip(expected, lines[1::3], lines[2::3], strict=True):
        labels, probabilities = json.loads(said)
        assert labels == [prediction.label for prediction in predictions]
        for row, prediction in zip(probabilities, predictions, strict=True):
            assert row == pytest.approx(list(prediction.probabilities.values()), abs=1e-5)
        assert int(told) == outputs
        labels_seen |= set(labels)
    assert len(labels_seen) > 2


def test_the_example_with_our_package_runs(finished_project: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", usage("corn", "median"), re.S)[0]
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=finished_project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 2


def test_sentence_transformers_is_not_needed() -> None:
    assert importlib.util.find_spec("sentence_transformers") is None
    assert "sentence-transformers" not in (ROOT / "requirements.lock").read_text()
