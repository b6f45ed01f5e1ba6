"""Assign each row to train, validation or test, and find duplicates across the parts."""

import hashlib
import unicodedata
from collections.abc import Sequence
from itertools import compress

import numpy as np
import numpy.typing as npt

from ordinal.common.choices import SplitMethod
from ordinal.common.errors import UserError
from ordinal.common.labels import list_labels
from ordinal.common.paths import PARTS
from ordinal.common.types import Floats, Labels, Rows

Parts = npt.NDArray[np.int8]
"""Index in `PARTS` of each row's part, shape (rows,)."""
TRAIN, VALIDATION, TEST = range(len(PARTS))

Prints = npt.NDArray[np.void]
"""Fingerprint of each row's text, shape (rows,)."""

MIN_ROWS_PER_LABEL = 10  # a tenth of them, the usual share for validation, is one row
CONSEQUENCE = {
    "train": "so the model can't learn it",
    "validation": "so the choice of the epoch and the calibration ignore it",
    "test": "so the results say nothing about it",
}
"""Consequence of a label that a part lacks."""


def shuffle_split(rows: int, shares: Sequence[float], seed: int) -> Parts:
    """Split at random, exactly as pandas' `df.sample(frac=1, random_state=seed)` cut in three.

    The first `int(rows * train)` of the shuffled rows are for training, the next
    `int(rows * validation)` for validation, and the rest for the test.

    Args:
        rows: Number of rows.
        shares: Shares of train, validation and test, which add up to 1.
        seed: Seed of the shuffle.
    """
    # pandas calls this, too. Without importing pandas, the stage starts faster.
    order = np.random.RandomState(seed).permutation(rows)
    train, validation = int(rows * shares[0]), int(rows * shares[1])
    parts = np.full(rows, PARTS.index("test"), np.int8)
    parts[order[:train]] = PARTS.index("train")
    parts[order[train : train + validation]] = PARTS.index("validation")
    return parts


def hash_split(prints: Prints, shares: Sequence[float], seed: int) -> Parts:
    """Split by a hash of each row's text, independently of all other rows.

    Rows with the same fingerprint are in the same part, so no duplicate crosses the split, and a
    row stays in its part when others are added. The sizes of the parts match `shares` in
    expectation only.

    Args:
        prints: The `fingerprint` of each text.
        shares: Shares of train, validation and test, which add up to 1.
        seed: Key of the hash.
    """
    first, second = shares[0], shares[0] + shares[1]
    places = hashed_places(prints, seed)
    return ((places >= first).astype(np.int8) + (places >= second)).astype(np.int8)


def hashed_places(prints: Prints, seed: int) -> Floats:
    """Return a number from 0 to 1 for each row, shape (rows,), which only depends on its text."""
    key = seed.to_bytes(8, "big")
    uniform = (
        int.from_bytes(hashlib.blake2b(print_, digest_size=8, key=key).digest(), "big") / 2**64
        for print_ in prints
    )
    return np.fromiter(uniform, np.float64)


def stratified_split(
    labels: Labels, shares: Sequence[float], seed: int, names: Sequence[str]
) -> Parts:
    """Split the rows of each label at random, in the same shares for all labels.

    Each label has at least one row in each part, and otherwise its shares rounded up or down, so
    that the parts as a whole have their shares within one row.
    `sklearn.model_selection.StratifiedShuffleSplit` leaves a part without a rare label.

    Args:
        labels: Class of each row, shape (rows,).
        shares: Shares of train, validation and test, which add up to 1.
        seed: Seed of the shuffle.
        names: The K labels, lowest first.

    Raises:
        UserError: a label has fewer rows than there are parts.
    """
    rows_per_class = np.bincount(labels, minlength=len(names))
    refuse_scarce(rows_per_class, names)
    order = np.random.default_rng(seed).permutation(len(labels))
    parts = np.empty(len(labels), np.int8)
    for index, sizes in enumerate(_whole_sizes(rows_per_class, shares)):
        parts[order[labels[order] == index]] = np.repeat(np.arange(len(PARTS)), sizes)
    return parts


def refuse_scarce(rows_per_class: Labels, names: Sequence[str]) -> None:
    """Refuse a stratified split if a label has fewer rows than there are parts.

    Raises:
        UserError: it does.
    """
    if scarce := list(compress(names, rows_per_class < len(PARTS))):
        raise UserError(
            f"split.method is stratified, but fewer than {len(PARTS)} rows have the label "
            f"{list_labels(scarce)}: add rows, or merge the label with one next to it"
        )


def _whole_sizes(rows_per_class: Labels, shares: Sequence[float]) -> Labels:
    """Return the whole number of rows of each label and part, shape (labels, parts); none is 0.

    A label's shares are rounded up in the parts that have lost most by rounding so far, so that the
    totals of the parts have their shares, too.
    """
    exact = np.outer(rows_per_class, shares)
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    lost = np.zeros(len(shares))
    for label, rows in enumerate(rows_per_class):
        remainders = exact[label] - sizes[label]
        lost += remainders
        by_loss = np.argsort(np.where(remainders > 1e-9, -lost, np.inf), kind="stable")
        rounded_up = by_loss[: rows - sizes[label].sum()]
        sizes[label, rounded_up] += 1
        lost[rounded_up] -= 1
        for empty in np.flatnonzero(sizes[label] == 0):
            largest = sizes[label].argmax()
            sizes[label, [largest, empty]] += [-1, 1]
            lost[[largest, empty]] += [1, -1]
    return sizes


def label_warnings(
    labels: Labels, parts: Parts, names: Sequence[str], method: SplitMethod
) -> list[str]:
    """Return a sentence for each part that lacks labels, and one about labels with few rows."""
    counts = np.stack(
        [np.bincount(labels[parts == part], minlength=len(names)) for part in range(len(PARTS))]
    )
    advice = "Add rows, or merge the label with one next to it."
    if method in ("shuffle", "hash"):
        advice = (
            f"Set split.method to stratified, which needs {len(PARTS)} rows of each label. {advice}"
        )
    found = []
    for part, rows in zip(PARTS, counts, strict=True):
        if missing := list(compress(names, rows == 0)):
            found.append(
                f"No row for {part} has the label {list_labels(missing)}, {CONSEQUENCE[part]}. "
                f"{advice}"
            )
    scarce = [
        f"{name} ({rows})"
        for name, rows in zip(names, counts.sum(axis=0), strict=True)
        if rows < MIN_ROWS_PER_LABEL
    ]
    if scarce:
        found.append(
            f"Labels with fewer than {MIN_ROWS_PER_LABEL} rows: {list_labels(scarce)}. A model "
            "hardly learns them, and their test results say little."
        )
    return found


def fingerprint(text: str) -> bytes:
    """Return 16 bytes that two texts share if they differ only in case, spacing or Unicode form."""
    return digest(normal_form(text))


def normal_form(text: str) -> str:
    """Return a text in lower case, in one Unicode form, and with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def digest(text: str) -> bytes:
    """Return a hash of a text, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def count_leaks(values: Prints | Rows, parts: Parts) -> dict[str, int]:
    """Return how many rows of validation and of test have a value that is in an earlier part."""
    distinct, number = np.unique(values, return_inverse=True)
    earliest = np.full(len(distinct), len(PARTS), np.int8)  # the first part with each value
    np.minimum.at(earliest, number, parts)
    return {
        part: int((earliest[number[parts == index]] < index).sum())
        for index, part in enumerate(PARTS)
        if index
    }
