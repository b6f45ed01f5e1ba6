"""Split for cross-validation: the test rows are one of several folds of all rows."""

from collections.abc import Sequence

import numpy as np

from ordinal.common.errors import UserError, quoted
from ordinal.common.folds import Fold
from ordinal.common.paths import PARTS
from ordinal.common.types import Labels, Rows
from ordinal.data.column_split import cut_groups, refuse_missing_values
from ordinal.data.split import (
    TEST,
    TRAIN,
    VALIDATION,
    Parts,
    Prints,
    hashed_places,
    refuse_scarce,
)


def shuffle_fold(rows: int, fold: Fold, train: float, seed: int) -> Parts:
    """Return the part of each row, at random. The sizes of the folds differ by one row at most.

    Args:
        rows: Number of rows.
        fold: The fold of the test rows.
        train: Share of the other rows that is for training; the rest is for validation.
        seed: Seed of the shuffle.

    Raises:
        UserError: there are more folds than rows.
    """
    _refuse_many(fold, rows, "rows")
    order = np.random.RandomState(seed).permutation(rows)  # as in `shuffle_split`
    blocks = np.array_split(order, fold.folds)
    test = blocks.pop(fold.number - 1)
    return _parts(rows, test, np.concatenate(blocks), train)


def stratified_fold(
    labels: Labels, fold: Fold, train: float, seed: int, names: Sequence[str]
) -> Parts:
    """Return the part of each row, at random, with the same shares of the labels in all folds.

    The numbers of rows with a label differ by one at most between the folds. The other rows are
    divided so that training and validation have each label, too.

    Args:
        labels: Class of each row, shape (rows,).
        fold: The fold of the test rows.
        train: Share of the other rows that is for training; the rest is for validation.
        seed: Seed of the shuffle.
        names: The K labels, lowest first.

    Raises:
        UserError: there are more folds than rows, or a label has fewer rows than there are parts.
    """
    rows = len(labels)
    _refuse_many(fold, rows, "rows")
    refuse_scarce(np.bincount(labels, minlength=len(names)), names)
    order = np.random.default_rng(seed).permutation(rows)
    by_label = order[np.argsort(labels[order], kind="stable")]
    number = np.empty(rows, np.int64)
    number[by_label] = np.arange(rows) % fold.folds
    parts = np.full(rows, TEST, np.int8)
    others = by_label[number[by_label] != fold.number - 1]
    for label in range(len(names)):
        of_label = others[labels[others] == label]
        cut = max(1, min(round(train * len(of_label)), len(of_label) - 1))
        parts[of_label[:cut]], parts[of_label[cut:]] = TRAIN, VALIDATION
    return parts


def hash_fold(prints: Prints, fold: Fold, train: float, seed: int) -> Parts:
    """Return the part of each row by a hash of its text, so that duplicates are in the same part.

    The part of a row does not depend on other rows. The sizes of the parts match their shares in
    expectation only.

    Args:
        prints: The `fingerprint` of each text.
        fold: The fold of the test rows.
        train: Share of the other rows that is for training; the rest is for validation.
        seed: Key of the hash.

    Raises:
        UserError: there are more folds than different texts.
    """
    _refuse_many(fold, len(np.unique(prints)), "different texts")
    places = hashed_places(prints, seed) * fold.folds
    number = np.minimum(places.astype(np.int64), fold.folds - 1)
    # The places without those of the fold, closed up, from 0 to 1.
    closed = (places - (number >= fold.number)) / (fold.folds - 1)
    parts = np.where(closed < train, TRAIN, VALIDATION)
    parts[number == fold.number - 1] = TEST
    return parts.astype(np.int8)


def group_fold(codes: Rows, name: str, fold: Fold, train: float, seed: int) -> Parts:
    """Return the part of each row, at random, with all rows of a group in one part.

    Args:
        codes: Group of each row, shape (rows,).
        name: The name of the column of the groups.
        fold: The fold of the test rows.
        train: Share of the other rows that is for training; the rest is for validation.
        seed: Seed of the order.

    Raises:
        UserError: a row has no group, or there are fewer groups than folds or parts.
    """
    refuse_missing_values(codes, name)
    sizes = np.bincount(codes)
    what = f"different values in column {quoted(name)}"
    _refuse_many(fold, len(sizes), what)
    if len(sizes) < len(PARTS):
        raise UserError(
            f"split.fold is {fold}, but there are only {len(sizes)} {what}: {len(PARTS)} are "
            "needed, one for each part"
        )
    number = cut_groups(sizes, [1 / fold.folds] * fold.folds, seed)
    parts = np.full(len(sizes), TEST, np.int8)
    others = np.flatnonzero(number != fold.number - 1)
    parts[others] = cut_groups(sizes[others], [train, 1 - train], seed)
    return parts[codes]


def _parts(rows: int, test: Rows, others: Rows, train: float) -> Parts:
    """Return the part of each row; the first of the others, in their order, are for training."""
    parts = np.full(rows, VALIDATION, np.int8)
    parts[others[: round(train * len(others))]] = TRAIN
    parts[test] = TEST
    return parts


def _refuse_many(fold: Fold, number: int, what: str) -> None:
    if fold.folds > number:
        raise UserError(
            f"split.fold is {fold}, but there are only {number} {what}: use at most {number} folds"
        )
