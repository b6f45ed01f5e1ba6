"""The benchmark of the search: its random values, and a run of a few trials."""

import numpy as np
import pytest

from benchmarks import search
from benchmarks.search import RANGES, best_so_far, random_values, texts
from ordinal.experiments.search import Search
from ordinal.experiments.space import contains, parse_space

SPACE = Search("search", parse_space(RANGES), "rps")


def test_random_values_are_in_the_space() -> None:
    rng = np.random.default_rng(0)
    assert all(contains(SPACE.space, random_values(SPACE, rng)) for _ in range(200))


def test_the_lowest_score_so_far_never_rises() -> None:
    scores = iter([3.0, 1.0, 2.0, 0.5])
    rng = np.random.default_rng(0)
    found = best_so_far(SPACE, 4, lambda ended: random_values(SPACE, rng), lambda _: next(scores))
    assert found == [3.0, 1.0, 1.0, 0.5]


def test_words_near_the_label_are_more_frequent() -> None:
    tokens = texts(400, np.random.default_rng(0))
    near = [
        np.isin(tokens.ids[start:end], range(4, 9)).mean()
        for start, end in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
    ]
    assert 0.1 < np.mean(near) < 0.25


def test_both_sides_get_the_same_trials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(search, "ROWS", {"train": 20, "validation": 10})
    search.main(["--trials", "2", "--repetitions", "1"])
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("after 2 trials: mean of the lowest RPS ")
