"""The split: the tutorial's rows with `shuffle`, no duplicate across parts with `hash`."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ordinal.common.paths import PARTS
from ordinal.data.split import count_leaks, fingerprints, hash_split, shuffle_split

SHARES = (0.7, 0.1, 0.2)


@pytest.mark.parametrize("rows", [10, 1499, 7000])
@pytest.mark.parametrize("seed", [1, 123])
def test_shuffle_gives_exactly_the_rows_of_the_tutorials_pandas_code(rows: int, seed: int) -> None:
    df = pd.DataFrame({"review": [f"review {i}" for i in range(rows)], "row": range(rows)})
    df = df.sample(frac=1, random_state=seed).reset_index(drop=True)
    train, validation = int(df.shape[0] * 0.7), int(df.shape[0] * 0.1)
    oracle = {
        "train": df.iloc[:train],
        "validation": df.iloc[train : train + validation],
        "test": df.iloc[train + validation :],
    }
    parts = shuffle_split(rows, SHARES, seed)
    for index, part in enumerate(PARTS):
        assert set(np.flatnonzero(parts == index)) == set(oracle[part]["row"])


texts = st.lists(st.text(min_size=1), min_size=1, max_size=50)


@given(texts, texts, st.integers(0, 2**32 - 1))
def test_hash_puts_a_text_where_it_was_when_others_are_added(
    before: list[str], added: list[str], seed: int
) -> None:
    prints = fingerprints(before + added)
    alone = hash_split(prints[: len(before)], SHARES, seed)
    np.testing.assert_array_equal(hash_split(prints, SHARES, seed)[: len(before)], alone)


@given(texts)
def test_no_duplicate_crosses_a_hash_split(drawn: list[str]) -> None:
    prints = fingerprints(drawn + [f"  {text.upper()} " for text in drawn])
    parts = hash_split(prints, SHARES, seed=1)
    assert count_leaks(prints, parts) == {"validation": 0, "test": 0}


def test_hash_shares_are_those_asked_for_within_binomial_error() -> None:
    rows = 20_000
    prints = fingerprints(f"review {row}" for row in range(rows))
    parts = hash_split(prints, SHARES, seed=7)
    for index, share in enumerate(SHARES):
        assert stats.binomtest(int((parts == index).sum()), rows, share).pvalue > 0.001


def test_leaks_are_counted_in_the_later_part() -> None:
    prints = fingerprints(["Good  hotel", "good hotel", "GOOD HOTEL", "bad", "bad"])
    parts = np.array([0, 1, 2, 2, 2], np.int8)
    assert count_leaks(prints, parts) == {"validation": 1, "test": 1}
