"""The model card has the results of the run, escapes its texts, and its examples run."""

import importlib.util
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from jinja2 import UndefinedError
from markdown_it import MarkdownIt

import ordinal
from ordinal.cards.model_card import Encoder, model_card
from ordinal.common.choices import Decoding, LossName
from ordinal.common.files import read_json, sha256
from ordinal.common.params import Train
from ordinal.distributions.calibration import Calibration
from ordinal.evaluation.metrics import all_metrics
from ordinal.evaluation.results import METRIC_NAMES
from ordinal.model.architecture import output_layer
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.model.readme import readme, usage
from tests.conftest import ROOT, environment, run_code
from tests.tiny import scores_of

HOSTILE = [
    "a|b",
    "x: y",
    "<script>alert(1)</script>",
    "`code` **bold** _it_",
    "[link](http://127.0.0.1)",
    "---\n# not a heading",
    "&amp; $x$ \\ ~~no~~ \"quoted\" 'too'",
]


def run_of(**facts: object) -> dict[str, Any]:
    """Return the arguments of `model_card` for a run with other facts about its data."""
    return {
        "facts": {
            "name": "reviews.csv",
            "synthetic": False,
            "licence": "CC0",
            "origin": "somewhere",
            "labels": ["1", "2"],
            "rows": 2500,
            "rows_per_label": {"1": 1500, "2": 1000},
        }
        | facts,
        "details": DETAILS,
        "parameters": {
            "evaluate": {"coverage_by": "none"},
            "tokenize": {"max_length": 64, "truncation": "head"},
            "train": {"lr": 0.01, "loss": "corn", "decode": "median", "patience": None},
        },
        "encoder": Encoder("an encoder", "Apache-2.0", "someone/encoder"),
        "weights": "0" * 64,
    }


TEST = {name: 0.1 + index / 70 for index, name in enumerate(METRIC_NAMES)} | {"kendall": None}
DETAILS: dict[str, Any] = {
    "data": {"name": "reviews.csv", "synthetic": False, "rows": 2500},
    "split": {
        "rows": {"train": 1750, "validation": 250, "test": 500},
        "duplicates_of_earlier_parts": {"validation": 1, "test": 7},
    },
    "tokens": {"test": {"cut": 11}},
    "baseline": {
        "median": dict.fromkeys(TEST, 0.3),
        "tfidf": dict.fromkeys(TEST, 0.2),
    },
    "test": TEST,
    "bootstrap": {name: {"low": 0.05, "high": value} for name, value in TEST.items()},
    "calibration": {
        "temperature": 1.25,
        "before": {"rps": 0.3, "ece": 0.31, "log_loss": 0.32},
        "after": {"rps": 0.21, "ece": 0.22, "log_loss": 0.23},
    },
    "interval": {
        "target": 0.9,
        "coverage": 0.8765,
        "width": 1.543,
        "by_label": {
            "poor": {"coverage": 0.75, "width": 1.5},
            "good": {"coverage": 0.9125, "width": 1.6},
        },
    },
}


class Page(HTMLParser):
    """The text and the tags of a rendered card."""

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


def test_the_metadata_have_the_test_metrics() -> None:
    data = ModelCard(model_card(**run_of())).data
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    assert found == {name: value for name, value in TEST.items() if value is not None}
    assert "kendall" not in found
    assert data.base_model == "someone/encoder"
    assert data.tags == ["ordinal-regression", "corn"]
    assert {result.dataset_name for result in data.eval_results} == {"reviews.csv"}


def test_every_metric_has_a_name_and_a_direction() -> None:
    labels = np.array([0, 1])
    costs = [[0.0, 1.0], [1.0, 0.0]]
    assert list(METRIC_NAMES) == list(all_metrics(labels, labels, np.eye(2), costs))
    assert all(name.endswith((" ↓", " ↑")) for name in METRIC_NAMES.values())


def test_the_text_has_intervals_baselines_calibration_coverage_and_limits() -> None:
    card = model_card(**run_of(sha256="f" * 64))
    mae = METRIC_NAMES["mae"]
    assert f"\n| {mae} | 0.3000 | 0.2000 | 0.1000 | 0.0500 to 0.1000 |\n" in card
    tau = METRIC_NAMES["kendall"]
    assert f"\n| {tau} | 0.3000 | 0.2000 | – | 0.0500 to – |\n" in card
    text = " ".join(card.split())
    for sentence in (
        "calibrated with the temperature 1.2500, fitted on the 250 validation rows",
        "the log loss from 0.3200 to 0.2300 and the expected calibration error from 0.3100 to",
        "contain the true label in 87.6 % of the test rows; the target is 90.0 %.",
        "labels. By true label, the shares are 75.0 % (poor), 91.2 % (good). ## Limits",
        "It does not hold for each label or each kind of text.",
        "2500 rows: 1750 for training, 250 for validation",
        "| train.lr | 0.01 | | train.loss | corn |",
        "| train.patience | none |",
        "SHA-256 of the file: `ffff",
        "`model.safetensors`: `0000",
        "Licence of the data: CC0",
        "The rarest label, 2, has 1000 of 2500 rows.",
        "longer than 64 tokens are cut. This applies to 11 of the 500 test rows.",
        "7 of the 500 test rows have the same text",
    ):
        assert sentence in text


def test_synthetic_data_is_called_synthetic() -> None:
    assert "synthetic" not in model_card(**run_of())
    card = model_card(**run_of(synthetic=True))
    assert "**The data is synthetic.**" in card
    assert ModelCard(card).data.eval_results[0].dataset_name == "reviews.csv (synthetic)"


def test_warnings_and_the_features_of_the_baseline_are_in_the_card() -> None:
    plain = model_card(**run_of())
    assert "Warning" not in plain
    assert "is a logistic regression on words and word pairs." in plain
    tfidf = DETAILS["baseline"]["tfidf"] | {
        "features": "characters",
        "warning": "It is <b>bad</b>.",
    }
    details = DETAILS | {
        "data": DETAILS["data"] | {"dropped": {"blank rows": 3}},
        "split": DETAILS["split"] | {"warnings": ["No row for test has the label a|b."]},
        "baseline": DETAILS["baseline"] | {"tfidf": tfidf},
    }
    card = model_card(**run_of() | {"details": details})
    for sentence in (
        "\n**Warning:** Rows that were dropped: blank rows (3).\n",
        "\n**Warning:** No row for test has the label a\\|b.\n",
        "\n**Warning:** It is &lt;b&gt;bad&lt;/b&gt;.\n",
        "| metric | median | TF-IDF (characters) | this model |",
        "is a logistic regression on sequences of 1 to 3 characters.",
    ):
        assert sentence in card
    assert Page(card).text.count("Warning") == 3


def test_a_card_without_a_value_is_an_error() -> None:
    run = run_of()
    with pytest.raises(UndefinedError, match="max_length"):
        model_card(**run | {"parameters": run["parameters"] | {"tokenize": {"truncation": "head"}}})


def test_text_from_the_data_is_escaped() -> None:
    harmless = ["one"] * len(HOSTILE)

    def both(texts: list[str]) -> list[str]:
        rows = {
            text + ("" if text in HOSTILE else str(index)): 9 for index, text in enumerate(texts)
        }
        every = " ".join(texts)
        facts: dict[str, Any] = {"name": every, "licence": every, "origin": every}
        run = run_of(**facts, labels=texts, rows_per_label=rows)
        return [model_card(**run), readme(run["facts"], every, 5, Train(loss="corn"))]

    for card, expected in zip(both(HOSTILE), both(harmless), strict=True):
        page = Page(card)
        assert page.tags == Page(expected).tags
        for text in HOSTILE:
            assert " ".join(text.split()) in page.text
        metadata = yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))
        if "model-index" in metadata:
            dataset = metadata["model-index"][0]["results"][0]["dataset"]
            assert dataset["name"] == " ".join(HOSTILE)


def test_a_reader_learns_what_plain_transformers_does_with_long_texts() -> None:
    for truncation, told in (("head", False), ("head_tail", True)):
        run = run_of()
        run["parameters"]["tokenize"]["truncation"] = truncation
        folder_readme = readme(run["facts"], "bert", 5, Train(), truncation)
        for page in (model_card(**run), folder_readme):
            assert ("The package also reads its end." in page) == told


def test_the_card_of_a_real_run(finished_project: Path) -> None:
    card = (finished_project / "metrics/model_card.md").read_text()
    measured = read_json(finished_project / "metrics/details.json")["test"]
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
    classify = pipeline("text-classification", model="models/ordinal", top_k=None)
    print(len(classify(["superb room"])[0]))
"""


def test_the_plain_example_gives_the_same_predictions_without_our_code(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    """For each loss and each rule of decoding, in a process where our package can't be imported."""
    texts = ["superb room", "awful bed 17 was the staff"]
    names = ["poor", "fair", "good", "superb"]
    choices: list[tuple[LossName, Decoding]] = [
        (loss, get_args(Decoding)[index % 4]) for index, loss in enumerate(get_args(LossName))
    ]
    choices += [("corn", "mean"), ("corn", "mode"), ("corn", "cost")]
    costs = [[0.0, 1, 2, 3], [5, 0, 1, 2], [9, 5, 0, 1], [30, 9, 5, 0]]
    programs, expected = {}, []
    for index, (loss, rule) in enumerate(choices):
        model = new_classifier(tiny_encoder, names, loss, rule, seed=index, costs=costs)
        with torch.no_grad():
            output_layer(model).weight.normal_(std=3)
        folder = tmp_path / str(index) / "models/ordinal"
        folder.mkdir(parents=True)
        save_classifier(
            model, Calibration(1.7, scores_of([0.1, 0.5, 0.9] * 20, 4)), tiny_encoder, "", folder
        )
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
    for (predictions, outputs), printed, number in zip(
        expected, lines[1::3], lines[2::3], strict=True
    ):
        labels, probabilities = json.loads(printed)
        assert labels == [prediction.label for prediction in predictions]
        for row, prediction in zip(probabilities, predictions, strict=True):
            assert row == pytest.approx(list(prediction.probabilities.values()), abs=1e-5)
        assert int(number) == outputs
        labels_seen |= set(labels)
    assert len(labels_seen) > 2


def test_the_example_with_our_package_runs(finished_project: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", usage("corn", "median"), re.S)[0]
    assert len(run_code(finished_project, code).splitlines()) == 2


def test_sentence_transformers_is_not_needed() -> None:
    assert importlib.util.find_spec("sentence_transformers") is None
    assert "sentence-transformers" not in (ROOT / "requirements.lock").read_text()
