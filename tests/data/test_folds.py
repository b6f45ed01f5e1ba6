"""Folds of cross-validation: each row is tested once, in the sense of each method."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from ordinal.common.errors import UserError
from ordinal.common.folds import Fold
from ordinal.common.params import Split
from ordinal.data.folds import group_fold, hash_fold, shuffle_fold, stratified_fold
from ordinal.data.leaks import fingerprints
from ordinal.data.split import Parts, hash_split, shuffle_split

TRAIN, VALIDATION, TEST = range(3)
SHARE = 0.875  # of training in training and validation
NAMES = ["low", "medium", "high"]
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [120, 61, 19]))
PRINTS = fingerprints(f"review {row % 150}" for row in range(200))[0]
GROUPS = np.random.default_rng(1).integers(40, size=200)
METHODS: dict[str, Callable[[Fold, int], Parts]] = {
    "shuffle": lambda fold, seed: shuffle_fold(200, fold, SHARE, seed),
    "stratified": lambda fold, seed: stratified_fold(LABELS, fold, SHARE, seed, NAMES),
    "hash": lambda fold, seed: hash_fold(PRINTS, fold, SHARE, seed),
    "group": lambda fold, seed: group_fold(GROUPS, "customer", fold, SHARE, seed),
}


def all_folds(method: str, folds: int, seed: int) -> list[Parts]:
    return [METHODS[method](Fold(number, folds), seed) for number in range(1, folds + 1)]


@pytest.mark.parametrize("method", METHODS)
@given(st.integers(2, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_each_row_is_tested_in_one_fold_and_the_rest_have_their_shares(
    method: str, folds: int, seed: int
) -> None:
    splits = all_folds(method, folds, seed)
    tested = np.sum([parts == TEST for parts in splits], axis=0)
    np.testing.assert_array_equal(tested, 1)
    for parts in splits:
        others = parts[parts != TEST]
        spread = {"hash": 0.15, "group": 0.07}.get(method, 0.01)
        assert np.mean(others == TRAIN) == pytest.approx(SHARE, abs=spread)
        assert {TRAIN, VALIDATION} <= set(parts)


@pytest.mark.parametrize("method", METHODS)
def test_a_fold_depends_on_the_seed_alone(method: str) -> None:
    for first, again, other in zip(
        *(all_folds(method, 5, seed) for seed in (1, 1, 2)), strict=True
    ):
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()


@pytest.mark.parametrize("folds", [2, 3, 5, 200])
def test_the_folds_of_shuffle_have_the_sizes_of_scikit_learn(folds: int) -> None:
    sizes = [int((parts == TEST).sum()) for parts in all_folds("shuffle", folds, 1)]
    assert sizes == [len(test) for _, test in KFold(folds).split(np.zeros(200))]


def test_the_last_of_five_folds_is_the_split_without_folds() -> None:
    shares, last = (0.7, 0.1, 0.2), Fold(5, 5)
    np.testing.assert_array_equal(METHODS["shuffle"](last, 3), shuffle_split(200, shares, 3))
    np.testing.assert_array_equal(METHODS["hash"](last, 3), hash_split(PRINTS, shares, 3))


@pytest.mark.parametrize("seed", range(5))
def test_stratified_folds_have_the_labels_in_the_same_shares(seed: int) -> None:
    splits = all_folds("stratified", 5, seed)
    for label, rows in enumerate(np.bincount(LABELS)):
        counts = [int((LABELS[parts == TEST] == label).sum()) for parts in splits]
        assert set(counts) <= {rows // 5, -(-rows // 5)}
    assert [int((parts == TEST).sum()) for parts in splits] == [40] * 5
    for parts in splits:
        for part in (TRAIN, VALIDATION):
            assert set(LABELS[parts == part]) == {0, 1, 2}


def test_no_text_and_no_group_is_in_two_parts() -> None:
    for method, values in {"hash": PRINTS, "group": GROUPS}.items():
        for parts in all_folds(method, 5, 1):
            for value in np.unique(values):
                assert len(set(parts[values == value])) == 1


@given(st.lists(st.text(min_size=1), min_size=5, max_size=30, unique=True), st.integers(0, 99))
def test_hash_keeps_a_text_in_its_part_when_others_are_added(texts: list[str], seed: int) -> None:
    fold = Fold(2, 2)
    prints, _ = fingerprints([f"{number} {text}" for number, text in enumerate(texts)])
    alone = hash_fold(prints[:3], fold, SHARE, seed)
    np.testing.assert_array_equal(hash_fold(prints, fold, SHARE, seed)[:3], alone)


def test_the_folds_of_groups_are_about_equal() -> None:
    sizes = [int((parts == TEST).sum()) for parts in all_folds("group", 5, 1)]
    assert max(sizes) - min(sizes) <= np.bincount(GROUPS).max()


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "rows": (
        lambda: shuffle_fold(4, Fold(1, 5), SHARE, 1),
        "split.fold is 1/5, but there are only 4 rows: use at most 4 folds",
    ),
    "rows of strata": (
        lambda: stratified_fold(np.zeros(4, np.int64), Fold(1, 5), SHARE, 1, ["a"]),
        "there are only 4 rows: use at most 4 folds",
    ),
    "texts": (
        lambda: hash_fold(fingerprints(["a", "b", "A"])[0], Fold(3, 3), SHARE, 1),
        "there are only 2 different texts: use at most 2 folds",
    ),
    "groups": (
        lambda: group_fold(np.array([0, 1, 2, 2]), "customer", Fold(1, 4), SHARE, 1),
        "there are only 3 different values in column 'customer': use at most 3 folds",
    ),
    "two groups": (
        lambda: group_fold(np.array([0, 1, 1]), "customer", Fold(1, 2), SHARE, 1),
        "there are only 2 different values in column 'customer': 3 are needed, one for each part",
    ),
    "no group": (
        lambda: group_fold(np.array([0, -1, 1]), "customer", Fold(1, 2), SHARE, 1),
        "column 'customer' in row 2 of data/raw/reviews.parquet is empty",
    ),
    "rare label": (
        lambda: stratified_fold(np.array([0, 0, 0, 1, 1]), Fold(1, 2), SHARE, 1, ["a", "b"]),
        "fewer than 3 rows have the label b",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_too_many_folds_are_refused(case: str) -> None:
    split, message = REFUSED[case]
    with pytest.raises(UserError) as refused:
        split()
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fold": "0/5"}, "fold 0/5: the folds are 1/5 to 5/5"),
        ({"fold": "6/5"}, "fold 6/5: the folds are 1/5 to 5/5"),
        ({"fold": "1/1"}, "fold 1/1: there must be at least 2 folds"),
        ({"fold": "2 of 5"}, "fold must be written as 2/5"),
        ({"fold": ""}, "fold must be written as 2/5"),
        ({"fold": "1/2", "method": "given"}, "method given has no folds: set fold to null"),
        ({"fold": "1/2", "method": "time", "column": "day"}, "method time has no folds"),
    ],
)
def test_a_fold_that_does_not_exist_is_refused(values: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Split.model_validate(values)
