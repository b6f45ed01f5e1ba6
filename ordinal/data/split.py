"""Assign each row to train, validation or test, and find duplicates across the parts."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ordinal.common.paths import PARTS

Parts = npt.NDArray[np.int8]
"""Index in `PARTS` of each row's part, shape (rows,)."""

Prints = npt.NDArray[np.void]
"""Fingerprint of each row's text, shape (rows,)."""


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
        prints: The `fingerprints` of the texts.
        shares: Shares of train, validation and test, which add up to 1.
        seed: Key of the hash.
    """
    first, second = shares[0], shares[0] + shares[1]
    key = seed.to_bytes(8, "big")
    uniform = (
        int.from_bytes(hashlib.blake2b(print_, digest_size=8, key=key).digest(), "big") / 2**64
        for print_ in prints
    )
    return np.fromiter(((u >= first) + (u >= second) for u in uniform), np.int8)


def fingerprints(texts: Iterable[str]) -> Prints:
    """Return the fingerprint of each text, shape (texts,)."""
    return np.fromiter(map(fingerprint, texts), "V16")


def fingerprint(text: str) -> bytes:
    """Return 16 bytes that two texts share if they differ only in case, spacing or Unicode form."""
    normal = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def count_leaks(prints: Prints, parts: Parts) -> dict[str, int]:
    """Return how many rows of validation and of test have a text that is in an earlier part."""
    texts, number = np.unique(prints, return_inverse=True)
    earliest = np.full(len(texts), len(PARTS), np.int8)  # the first part that contains each text
    np.minimum.at(earliest, number, parts)
    return {
        part: int((earliest[number[parts == index]] < index).sum())
        for index, part in enumerate(PARTS)
        if index
    }
