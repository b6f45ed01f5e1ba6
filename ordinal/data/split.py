"""Who is trained on, who is chosen by, who is tested on: three parts of the rows."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ordinal.common.paths import PARTS

Parts = npt.NDArray[np.int8]
"""For each row the index of its part in `PARTS`."""

Prints = npt.NDArray[np.void]
"""For each row its `fingerprint`."""


def shuffle_split(rows: int, shares: Sequence[float], seed: int) -> Parts:
    """Split at random, exactly as pandas' `df.sample(frac=1, random_state=seed)` cut in three.

    The first `int(rows * train)` of the shuffled rows are for training, the next
    `int(rows * validation)` for validation, the rest for the test.
    """
    order = np.random.RandomState(seed).permutation(rows)  # what pandas does; it loads slowly
    train, validation = int(rows * shares[0]), int(rows * shares[1])
    parts = np.full(rows, PARTS.index("test"), np.int8)
    parts[order[:train]] = PARTS.index("train")
    parts[order[train : train + validation]] = PARTS.index("validation")
    return parts


def hash_split(prints: Prints, shares: Sequence[float], seed: int) -> Parts:
    """Put each row where the hash of its text falls, whatever other rows there are.

    Rows of one fingerprint share a part, so that no duplicate stands on both sides. The parts have
    the sizes of `shares` in expectation only.
    """
    first, second = shares[0], shares[0] + shares[1]
    key = seed.to_bytes(8, "big")
    places = (
        int.from_bytes(hashlib.blake2b(print_, digest_size=8, key=key).digest(), "big") / 2**64
        for print_ in prints
    )
    return np.fromiter(((u >= first) + (u >= second) for u in places), np.int8)


def fingerprints(texts: Iterable[str]) -> Prints:
    """The fingerprints of some texts, shape (texts,)."""
    return np.frombuffer(b"".join(map(fingerprint, texts)), "V16")


def fingerprint(text: str) -> bytes:
    """16 bytes that two texts share if they differ only in case, spacing or Unicode form."""
    normal = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return hashlib.blake2b(normal.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def count_leaks(prints: Prints, parts: Parts) -> dict[str, int]:
    """Rows of validation and of test whose text also stands in an earlier part."""
    texts, number = np.unique(prints, return_inverse=True)
    earliest = np.full(len(texts), len(PARTS), np.int8)  # part in which each text stands
    np.minimum.at(earliest, number, parts)
    return {
        part: int((earliest[number[parts == index]] < index).sum())
        for index, part in enumerate(PARTS)
        if index
    }
