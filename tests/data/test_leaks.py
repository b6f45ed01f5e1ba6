"""Counts of what the parts of a split share."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.params import Split
from ordinal.data.leaks import count_shared, fingerprints, leak_warnings
from ordinal.data.split import fingerprint


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Ticket 123 is closed.", "ticket #4567 is closed", True),
        ("Good!!!", "good", True),
        ("ten of 10", "ten of ١٠", True),
        ("good room", "good rooms", False),
        ("goodroom", "good room", False),
        ("123", "456", False),
        ("!!!", "???", False),
        ("great 🙂", "great 🙁", False),
        ("की", "का", False),  # the vowel is a mark, neither a letter nor punctuation
    ],
)
def test_texts_are_alike_but_for_numbers_case_and_punctuation(
    one: str, other: str, alike: bool
) -> None:
    (first, second), near = fingerprints([one, other])
    assert first != second
    assert (near[0] == near[1]) == alike


@given(st.lists(st.text()))
def test_the_first_fingerprints_are_those_of_the_texts_as_they_are(texts: list[str]) -> None:
    prints, _ = fingerprints(texts)
    assert [bytes(print_) for print_ in prints] == [fingerprint(text) for text in texts]


SAMPLES = ["good", "GOOD", "good 1", "good, 2!", "bad", "bad.", "3", "4"]
TEXTS = st.lists(st.sampled_from(SAMPLES), max_size=40)


@given(TEXTS, st.randoms(use_true_random=False))
def test_counts_are_those_of_a_plain_loop(texts: list[str], draw: object) -> None:
    parts = np.array([draw.randrange(3) for _ in texts], np.int8)  # type: ignore[attr-defined]
    groups = np.array([draw.randrange(-1, 5) for _ in texts], np.int64)  # type: ignore[attr-defined]
    counts = count_shared(*fingerprints(texts), groups, parts)

    def plain(text: str) -> str:
        return re.sub(r"[\d ,.!]", "", text.lower()) or text

    for index, part in ((1, "validation"), (2, "test")):
        earlier = [row for row in range(len(texts)) if parts[row] < index]
        rows = [row for row in range(len(texts)) if parts[row] == index]
        same = {texts[row].lower() for row in earlier}
        alike = {plain(texts[row]) for row in earlier}
        near = [
            row for row in rows if plain(texts[row]) in alike and texts[row].lower() not in same
        ]
        known = {groups[row] for row in earlier} - {-1}
        assert counts["duplicates_of_earlier_parts"][part] == sum(
            texts[row].lower() in same for row in rows
        )
        assert counts["near_duplicates_of_earlier_parts"][part] == len(near)
        assert counts["groups_of_earlier_parts"][part] == sum(groups[row] in known for row in rows)


def test_many_duplicates_and_groups_in_two_parts_give_warnings() -> None:
    counts = {
        "duplicates_of_earlier_parts": {"validation": 0, "test": 3},
        "groups_of_earlier_parts": {"validation": 0, "test": 20},
    }
    texts, groups = leak_warnings(counts, 200, Split(column="customer"))
    assert texts.startswith("3 of 200 test rows (1.5%) have a text that is also in an earlier part")
    assert texts.endswith("Set split.method to hash, which puts equal texts into the same part.")
    assert groups.startswith("20 of 200 test rows (10.0%) have a value of 'customer' that is also")
    given_texts, _ = leak_warnings(counts, 200, Split(method="given", column="part"))
    assert given_texts.endswith("Remove repeated texts from the file.")
    few = {"duplicates_of_earlier_parts": {"validation": 9, "test": 2}}
    assert leak_warnings(few, 200, Split()) == []
