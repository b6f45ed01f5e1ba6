"""The benchmarks run, and count lengths and operations correctly."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import recipes, training
from benchmarks.clock import training_flops
from benchmarks.corpora import HOTEL_QUANTILES, hotel_lengths, random_texts, short_lengths
from benchmarks.training import LABELS, Setting, measure
from ordinal.common.params import Train
from ordinal.model.classifier import new_classifier
from ordinal.model.device import has_bf16


def test_lengths_are_distributed_as_the_page_says() -> None:
    hotel, short = hotel_lengths(7000), short_lengths(7000)
    quantiles = np.quantile(hotel, np.linspace(0, 1, len(HOTEL_QUANTILES)))
    assert quantiles == pytest.approx(HOTEL_QUANTILES, abs=2)
    assert hotel.mean() == pytest.approx(227, abs=1)
    assert short.mean() == pytest.approx(50, abs=1)
    assert hotel.max() == short.max() == 512


def test_a_text_of_random_words_has_as_many_tokens_as_it_should(tiny_encoder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    lengths = np.array([3, 7, 20])
    texts = random_texts(lengths, tokenizer)
    assert [len(tokenizer.encode(text).ids) for text in texts] == lengths.tolist()


def test_the_operations_counted_are_those_that_torch_counts(tiny_encoder: Path) -> None:
    model = new_classifier(tiny_encoder, LABELS, "emd").eval()
    lengths = np.array([9, 31])

    def counted(length: int) -> int:
        with FlopCounterMode(display=False) as counter:
            model(torch.ones(1, length, dtype=torch.int64))
        return counter.get_total_flops()

    # The head is not counted; its cost does not depend on the length.
    difference = training_flops(model, lengths[1:]) - training_flops(model, lengths[:1])
    assert difference == 3 * (counted(31) - counted(9))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_sides_of_the_training_benchmark_run(
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training, "CORPORA", {"short": lambda rows: np.arange(rows) % 9 + 3})
    measure(Setting(tiny_encoder, {"short": 40}, 2, (8,), ("short", 70), repeats=1))
    shown = capsys.readouterr().out
    assert "short texts, 7 tokens on average, the longest 11" in shown
    assert re.search(r"\d times the samples/s of Hugging Face Trainer", shown)
    assert "| 8 | 32-true |" in shown
    assert ("| 8 | bf16-mixed |" in shown) == has_bf16(torch.device("cpu"))
    assert "the train stage, 3 epochs over 70 short texts" in shown


def test_the_recipes_are_those_of_the_study(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = recipes.recipes()
    assert (found["tutorial"].batch_size, found["tutorial"].lr) == (12, 5e-5)
    assert found["corn"] == Train(loss="corn", epochs=1, precision="32-true")
    monkeypatch.setattr(recipes, "PRETRAINED", tiny_encoder)
    monkeypatch.setattr(recipes, "ROWS", {"short": 40})
    monkeypatch.setattr(recipes, "REPEATS", 1)
    monkeypatch.setattr(recipes, "sample", lambda lengths, rows: lengths[:rows].clip(max=64))
    recipes.main()
    assert re.search(
        r"short texts: the default recipe takes [\d.]+ times as long", capsys.readouterr().out
    )
