"""Explanations: complete for every family of encoders, words, output of the command."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console

from benchmarks import explanations as benchmark
from ordinal.common.choices import LossName, Truncation
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.model.losses import LOSSES
from ordinal.prediction import explanation
from ordinal.prediction.explanation import (
    Explainer,
    Explanation,
    Word,
    embedding_layers,
    load_explainer,
    merge_words,
)
from ordinal.prediction.load import load
from ordinal.prediction.predictor import Prediction
from ordinal.reporting.terminal import explanation_text
from ordinal.tokenization.tokenizer import save_tokenizer
from tests.conftest import run_in
from tests.families import FAMILIES, WORDS, save_family
from tests.tiny import scores_of

LABELS = ["1", "2", "3", "4", "5"]
TEXT = "the room was superb the staff poor"
TEMPERATURE = 1.5


def save_model(
    encoder: Path, folder: Path, loss: LossName = "corn", truncation: Truncation = "head"
) -> Path:
    """Save a classifier with random weights that are large enough to depend on each word."""
    model = new_classifier(encoder, LABELS, loss)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    folder.mkdir()
    save_tokenizer(encoder, 20, folder, truncation)
    calibration = Calibration(TEMPERATURE, scores_of([0.5] * 40, len(LABELS)))
    save_classifier(model, calibration, folder, "", folder / "model")
    return folder / "model"


@pytest.fixture(scope="module", params=FAMILIES)
def explainer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Explainer:
    folder = tmp_path_factory.mktemp("families")
    encoder = save_family(request.param, folder / "encoder")
    return load_explainer(save_model(encoder, folder / "saved"), "cpu")


def test_effects_add_up_to_the_difference_to_the_baseline(explainer: Explainer) -> None:
    explained = explainer.explain(TEXT)
    difference = explained.expected - explained.baseline
    assert abs(difference) > 0.01
    total = sum(word.effect for word in explained.words)
    assert total == pytest.approx(difference, rel=0.02)
    assert [word.word for word in explained.words] == TEXT.split()
    assert len({word.effect for word in explained.words[:4]}) == 4


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    return save_model(save_family("bert", folder / "encoder"), folder / "saved")


@pytest.mark.parametrize("loss", ["corn", "coral", "emd"])
def test_the_expected_label_is_that_of_the_predicted_probabilities(
    loss: LossName, tmp_path: Path
) -> None:
    model = save_model(save_family("bert", tmp_path / "encoder"), tmp_path / "saved", loss)
    [prediction] = load(model).predict([TEXT])
    expected = sum(int(label) * p for label, p in prediction.probabilities.items())
    assert load_explainer(model).explain(TEXT).expected == pytest.approx(expected, abs=1e-5)


def test_the_baseline_has_padding_instead_of_words(saved: Path) -> None:
    explainer = load_explainer(saved)
    ids = torch.tensor([[0, *([1] * len(TEXT.split())), 2]])  # <s>, <pad> …, </s>
    baseline = explainer.expected_label(ids, torch.ones_like(ids)).item()
    assert explainer.explain(TEXT).baseline == pytest.approx(baseline, abs=1e-6)


def test_the_effect_of_a_word_is_the_integral_of_its_gradient(saved: Path) -> None:
    """The sum over many small steps along the line from the baseline's vectors to the text's."""
    explainer = load_explainer(saved)
    ids = torch.tensor([[0, *map(explainer.tokenizer.token_to_id, TEXT.split()), 2]])
    table = explainer.model.get_input_embeddings()
    start, end = table(torch.where(ids < len("123"), ids, 1)), table(ids)
    effects, steps = torch.zeros(ids.shape[1]), 1000
    for step in range(steps):
        vectors = (start + (step + 0.5) / steps * (end - start)).requires_grad_()
        probabilities = LOSSES["corn"].probabilities(explainer.model(inputs_embeds=vectors).logits)
        calibrated = (probabilities.log() / TEMPERATURE).softmax(dim=1)
        (calibrated @ torch.arange(1.0, 6.0)).sum().backward()
        effects += ((end - start) * vectors.grad).sum(dim=2)[0] / steps
    found = [word.effect for word in explainer.explain(TEXT).words]
    assert found == pytest.approx(effects[1:-1].tolist(), abs=1e-3)


def test_a_decoder_gets_each_token_one_place_later(tmp_path: Path) -> None:
    model = new_classifier(save_family("bart", tmp_path / "encoder"), LABELS, "corn").eval()
    ids = torch.tensor([[0, 5, 6, 2]])
    layers = embedding_layers(model, ids, torch.ones_like(ids))
    assert layers == {model.model.encoder.embed_tokens: 0, model.model.decoder.embed_tokens: 1}


def test_pieces_become_words() -> None:
    text = "An unhappy stay. 酒店 很好"
    pieces = [(0, 2), (2, 5), (5, 10), (10, 15), (15, 16), (16, 18), (18, 19), (19, 20), (20, 22)]
    numbers = [0, 1, 1, 2, 3, 4, 4, 5, 5]
    effects = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    words = merge_words(text, [None, *numbers, None], [(0, 0), *pieces, (0, 0)], [0, *effects, 0])
    assert [(word.word, word.effect) for word in words] == [
        *[("An", 1), ("unhappy", 5), ("stay", 4), (".", 5)],
        *[("酒", 6), ("店", 7), ("很好", 17)],  # a script without spaces
    ]
    assert all(text[word.start : word.end] == word.word for word in words)


@pytest.mark.parametrize(("truncation", "first"), [("head", 18), ("head_tail", 5)])
def test_words_that_are_cut_off_are_left_out(
    truncation: Truncation, first: int, tmp_path: Path
) -> None:
    encoder = save_family("bert", tmp_path / "encoder")
    model = save_model(encoder, tmp_path / "saved", truncation=truncation)
    words = [*WORDS * 3]
    explained = load_explainer(model).explain(" ".join(words)).words
    kept = [*range(first), *range(len(words) - 18 + first, len(words))]
    assert [word.word for word in explained] == [words[place] for place in kept]
    starts = [len(" ".join([*words[:place], ""])) for place in kept]
    assert [word.start for word in explained] == starts


def test_the_steps_of_a_long_text_are_computed_a_few_at_a_time(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = load_explainer(saved).explain(TEXT)
    explainer, sizes = load_explainer(saved), []
    explainer.model.register_forward_pre_hook(
        lambda module, given, named: sizes.append(named["input_ids"].numel()), with_kwargs=True
    )
    monkeypatch.setattr(explanation, "TOKENS", 20)
    in_parts = explainer.explain(TEXT)
    assert max(sizes) == 2 * 9
    assert [word.effect for word in in_parts.words] == pytest.approx(
        [word.effect for word in at_once.words], abs=1e-5
    )


def shown(**settings: object) -> str:
    """Return what a terminal shows of an explanation."""
    prediction = Prediction("4", "3", "5", {"3": 0.2, "4": 0.7, "5": 0.1})
    words = [Word("the", 0, 3, 0.001), Word("[room]", 4, 10, -0.2), Word("superb", 15, 21, 0.8)]
    text = explanation_text("the [room] was superb", prediction, Explanation(3.9, 3.2, words))
    console = Console(file=io.StringIO(), width=200, **settings)
    console.print(text)
    return console.file.getvalue()


def test_a_terminal_shows_the_words_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = shown()
    assert plain == (
        "label 4, interval 3 to 5, expected label 3.90 (3.20 without the words)\n"
        "superb +0.80, [room] -0.20, the +0.00\n"
        "the [room] was superb\n\n"
    )
    terminal = {"force_terminal": True, "color_system": "truecolor"}
    coloured = shown(**terminal)
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    assert "48;2;86;160;230msuperb\x1b[0m" in coloured
    assert re.search(r"48;2;251;226;206m\[room\]\x1b", coloured)
    assert "mthe\x1b" not in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "48;2" not in shown(**terminal)


def test_the_command_prints_text_or_json(finished_project: Path) -> None:
    text = "The room was superb, 7"
    command = ("ordinal", "predict", "--explain")
    plain = run_in(finished_project, *command, text, "awful bed")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.count("expected label") == 2
    assert text in plain.stdout
    assert "\x1b" not in plain.stdout

    (finished_project / "some.csv").write_text(f'id,review\n1,"{text}"\n2,awful bed\n')
    run = run_in(finished_project, *command, "some.csv", "--text", "review", "--json")
    first, second = map(json.loads, run.stdout.splitlines())
    [prediction] = load(finished_project / "models/ordinal").predict([text])
    assert (first["row"], first["text"], first["label"]) == (1, text, prediction.label)
    assert first["probabilities"] == pytest.approx(prediction.probabilities)
    words = first["words"]
    assert [word["word"] for word in words] == ["The", "room", "was", "superb", ",", "7"]
    assert [text[word["start"] : word["end"]] for word in words] == [w["word"] for w in words]
    total = sum(word["effect"] for word in words)
    assert total == pytest.approx(first["expected"] - first["baseline"], abs=1e-3)
    assert second["row"] == 2

    run = run_in(finished_project, *command, "good", " ")
    assert (run.returncode, run.stderr) == (
        1,
        "error: arguments: row 2 has no text: fill or remove it\n",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json",), "--json is a format of explanations: add --explain"),
        (("--explain", "--out", "a.csv"), "--explain prints to stdout, without --out: leave that"),
        (
            ("--explain", "--workers", "2"),
            "--explain prints to stdout, without --workers: leave that out",
        ),
        (("--explain", "--model", "m.onnx"), "m.onnx is an ONNX file, which can't be explained"),
    ],
)
def test_what_goes_with_an_explanation(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    run = run_in(tmp_path, "ordinal", "predict", "good", "--model", ".", *options)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"error: {message}")
    assert run.stderr.count("\n") == 1
    assert not (tmp_path / "a.csv").exists()


def test_the_benchmark_counts_the_words_that_carry_the_grade(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "At our last hotel the food was awful. The room was not clean at all, but the people at "
        "the desk were friendly. It rained for two days. There is more to forget than to remember."
    )
    found = [text[start:end] for start, end in benchmark.grade_places(text)]
    assert found == ["not", "clean", "friendly", "There is more to forget than to remember"]
    pd.DataFrame({"text": [TEXT, "the bed was good"]}).to_parquet(tmp_path / "test.parquet")
    benchmark.main(saved, tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "test reviews: 2"
    assert lines[2] == "a random word carries the grade: 27%"  # 3 of 11
