"""The benchmarks of growth and tokenization run at tiny sizes, and measure what they print."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import growth, tokenization
from benchmarks.child import in_child
from benchmarks.reviews import LENGTHS, synthetic_reviews


def a_block(megabytes: int) -> int:
    return len(np.ones(megabytes << 20, np.uint8))


def test_the_memory_is_that_of_the_call_alone() -> None:
    (small, little), (large, much) = in_child(a_block, 1), in_child(a_block, 401)
    assert (small, large) == (1 << 20, 401 << 20)
    assert much - little == pytest.approx(400, abs=40)


def test_synthetic_reviews_are_as_long_as_the_real_ones(tiny_encoder: Path) -> None:
    pieces = synthetic_reviews(2500, tiny_encoder / "tokenizer.json")
    reviews = [review for piece in pieces for review in piece]
    lengths = np.array([len(text.split()) + 2 for text, _ in reviews])
    assert len(reviews) == 2500
    assert np.minimum(lengths, 512).mean() == pytest.approx(227, rel=0.05)
    assert np.median(lengths) == pytest.approx(196, rel=0.1)
    assert LENGTHS[0] <= lengths.min() <= lengths.max() <= LENGTHS[-1]
    assert {stars for _, stars in reviews} == {1, 2, 3, 4, 5}


def test_tokenization_is_measured(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tokenization, "REPEATS", 1)
    tokenization.main([60], tiny_encoder, longest=64)
    printed = capsys.readouterr().out
    assert printed.startswith("tokenization of 60 reviews\n  turn 1: ")
    assert "MB of memory for 0 MB of tokens" in printed


def test_growth_is_measured(
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # A new process for each call would take seconds; the first test covers it.
    monkeypatch.setattr(
        growth, "in_child", lambda function, *given, **named: (function(*given, **named), 100.0)
    )
    monkeypatch.setattr(growth, "STAGES", ("download", growth.HUB, "split"))
    growth.main([50, 100], tiny_encoder)
    printed = capsys.readouterr().out
    for stage in growth.STAGES:
        assert re.search(rf"^\| {stage} \| 100 \| .* \| 100 \| -?0.00 \|$", printed, re.M)


def test_the_exponent_is_that_of_a_power_law_in_the_largest_sizes() -> None:
    values = {rows: 3.0 * rows**1.5 for rows in (100, 1_000, 10_000)}
    assert growth.exponent({1: 400.0, **values}) == pytest.approx(1.5)
