"""Count the texts, nearly equal texts and groups that the parts of a split share."""

import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np

from ordinal.common.errors import quoted
from ordinal.common.params import Split
from ordinal.common.types import Rows
from ordinal.data.split import Parts, Prints, count_leaks, digest, normal_form

MANY = 0.01  # of the test rows


def fingerprints(texts: Iterable[str]) -> tuple[Prints, Prints]:
    """Return the `fingerprint` of each text, and that of its letters, each of shape (texts,).

    Texts share the second one if they differ only in numbers and punctuation, too. Of a text that
    consists of these, the second one is the first.
    """
    both = np.fromiter(map(_fingerprints_of, texts), "V16, V16")
    return both["f0"].copy(), both["f1"].copy()


def _fingerprints_of(text: str) -> tuple[bytes, bytes]:
    normal = normal_form(text)
    letters = " ".join(normal.translate(_LETTERS).split())
    return digest(normal), digest(letters or normal)


class _Letters(dict[int, str]):
    """Maps numbers and punctuation to a space, and all other characters to themselves."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = " " if unicodedata.category(character)[0] in "NP" else character
        return self[code]


_LETTERS = _Letters()


def count_shared(
    prints: Prints, near: Prints, groups: Rows | None, parts: Parts
) -> dict[str, dict[str, int]]:
    """Return how many rows of validation and of test are like a row of an earlier part.

    Args:
        prints: The fingerprint of each text.
        near: The fingerprint of each text's letters.
        groups: The group of each row, or None if it is not known; -1 for a row without a group.
        parts: The part of each row.

    Returns:
        By kind: rows with the same text; with another text that differs only in numbers, case and
        punctuation; and of the same group.
    """
    same, alike = count_leaks(prints, parts), count_leaks(near, parts)
    counts = {
        "duplicates_of_earlier_parts": same,
        "near_duplicates_of_earlier_parts": {part: alike[part] - same[part] for part in same},
    }
    if groups is not None:
        known = groups >= 0
        counts["groups_of_earlier_parts"] = count_leaks(groups[known], parts[known])
    return counts


def leak_warnings(
    counts: Mapping[str, Mapping[str, int]], test_rows: int, params: Split
) -> list[str]:
    """Return a sentence for each kind of rows that are in the test part and in an earlier part."""
    found = []
    duplicates = counts["duplicates_of_earlier_parts"]["test"]
    if duplicates > MANY * test_rows:
        advice = "Remove repeated texts from the file."
        if params.method in ("shuffle", "stratified"):
            advice = "Set split.method to hash, which puts equal texts into the same part."
        found.append(
            f"{duplicates} of {test_rows} test rows ({duplicates / test_rows:.1%}) have a text "
            f"that is also in an earlier part, so results look better than they are. {advice}"
        )
    if groups := counts.get("groups_of_earlier_parts", {}).get("test", 0):
        found.append(
            f"{groups} of {test_rows} test rows ({groups / test_rows:.1%}) have a value of "
            f"{quoted(params.column)} that is also in an earlier part. If the model is to work for "
            "new values, set split.method to group."
        )
    return found
