"""The split: the tutorial's rows with `shuffle`, no duplicate across parts with `hash`."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import StratifiedShuffleSplit

from ordinal.common.errors import UserError
from ordinal.common.paths import PARTS
from ordinal.data.leaks import fingerprints
from ordinal.data.split import (
    count_leaks,
    hash_split,
    label_warnings,
    shuffle_split,
    stratified_split,
)

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
    prints, _ = fingerprints(before + added)
    alone = hash_split(prints[: len(before)], SHARES, seed)
    np.testing.assert_array_equal(hash_split(prints, SHARES, seed)[: len(before)], alone)


@given(texts)
def test_no_duplicate_crosses_a_hash_split(drawn: list[str]) -> None:
    prints, _ = fingerprints(drawn + [f"  {text.upper()} " for text in drawn])
    parts = hash_split(prints, SHARES, seed=1)
    assert count_leaks(prints, parts) == {"validation": 0, "test": 0}


def test_hash_shares_are_those_asked_for_within_binomial_error() -> None:
    rows = 20_000
    prints, _ = fingerprints(f"review {row}" for row in range(rows))
    parts = hash_split(prints, SHARES, seed=7)
    for index, share in enumerate(SHARES):
        assert stats.binomtest(int((parts == index).sum()), rows, share).pvalue > 0.001


def test_leaks_are_counted_in_the_later_part() -> None:
    prints, _ = fingerprints(["Good  hotel", "good hotel", "GOOD HOTEL", "bad", "bad"])
    parts = np.array([0, 1, 2, 2, 2], np.int8)
    assert count_leaks(prints, parts) == {"validation": 1, "test": 1}


def counts_of(labels: np.ndarray, parts: np.ndarray, classes: int) -> np.ndarray:
    """Return the rows of each part and class, shape (parts, classes)."""
    table = pd.crosstab(parts, labels)
    return table.reindex(index=range(3), columns=range(classes), fill_value=0).to_numpy()


shares_of_parts = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)).map(
    lambda weights: tuple(np.array(weights) / sum(weights))
)


@given(
    st.lists(st.integers(3, 60), min_size=2, max_size=6), shares_of_parts, st.integers(0, 2**32 - 1)
)
def test_stratified_gives_labels_and_parts_their_shares_and_no_part_lacks_a_label(
    rows: list[int], shares: tuple[float, ...], seed: int
) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(rows)), rows))
    names = [str(label) for label in range(len(rows))]
    parts = stratified_split(labels, shares, seed, names)
    np.testing.assert_array_equal(stratified_split(labels, shares, seed, names), parts)
    found = counts_of(labels, parts, len(rows))
    exact = np.outer(shares, rows)
    assert (found >= 1).all()
    large = (exact >= 1).all(axis=0)
    assert (np.abs(found - exact)[:, large] < 1).all()
    if large.all():
        assert (np.abs(found.sum(axis=1) - exact.sum(axis=1)) < 1).all()
    assert label_warnings(labels, parts, names, "stratified")[1:] == []  # at most: few rows


def test_stratified_rounds_some_labels_up_and_others_down() -> None:
    labels = np.repeat(np.arange(5), 24)
    parts = stratified_split(labels, SHARES, 1, list("12345"))
    assert np.bincount(parts).tolist() == [84, 12, 24]


def test_stratified_has_the_sizes_of_scikit_learn_and_depends_on_the_seed() -> None:
    labels = np.repeat([0, 1, 2], [700, 200, 100])
    parts = stratified_split(labels, SHARES, 1, ["a", "b", "c"])
    splitter = StratifiedShuffleSplit(1, test_size=0.2, random_state=0)
    _, test = next(splitter.split(labels, labels))
    assert counts_of(labels, parts, 3)[2].tolist() == np.bincount(labels[test]).tolist()
    assert (stratified_split(labels, SHARES, 2, ["a", "b", "c"]) != parts).any()
    # Within a label, every row is as likely to be in the test part as any other.
    seeds = range(200)
    tests = [stratified_split(labels, SHARES, seed, ["a", "b", "c"]) == 2 for seed in seeds]
    frequencies = np.mean(tests, axis=0)
    assert np.abs(frequencies - 0.2).max() < 6 * np.sqrt(0.2 * 0.8 / len(seeds))


def test_stratified_refuses_a_label_with_fewer_rows_than_parts() -> None:
    labels = np.array([0, 0, 1, 1, 1, 2])
    with pytest.raises(UserError, match="fewer than 3 rows have the label low, top: add rows"):
        stratified_split(labels, SHARES, 1, ["low", "mid", "top"])


def test_a_label_that_a_part_lacks_and_a_rare_label_give_warnings() -> None:
    labels = np.repeat([0, 1], [4, 60])
    parts = np.array([2] * 4 + [0] * 40 + [1] * 10 + [2] * 10, np.int8)
    train, validation, rare = label_warnings(labels, parts, ["bad", "good"], "shuffle")
    assert train.startswith("No row for train has the label bad, so the model can't learn it.")
    assert "Set split.method to stratified" in train
    assert validation.startswith("No row for validation has the label bad, so the choice of")
    assert rare.startswith("Labels with fewer than 10 rows: bad (4).")
    enough = np.tile(np.repeat([0, 1], 10), 3)
    assert (
        label_warnings(enough, np.repeat([0, 1, 2], 20).astype(np.int8), ["a", "b"], "hash") == []
    )
