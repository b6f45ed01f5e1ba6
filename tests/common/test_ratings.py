"""Spellings of ratings: the documented ones are read, and no others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.labels import label_key
from ordinal.common.ratings import Rating, rating_of

FORMS = {
    "{n} stars": ("N stars", False),
    "{n} star": ("N stars", False),
    "{n} Stars": ("N stars", False),
    "{n}/{top}": ("N/{top}", True),
    "{n} / {top}": ("N/{top}", True),
    "{n}/{top} stars": ("N/{top}", True),
    "{n} out of {top}": ("N out of {top}", True),
    "{n} out of {top} stars": ("N out of {top}", True),
}
half_steps = st.integers(0, 200).map(lambda steps: f"{steps // 2}{'.5' if steps % 2 else ''}")


@given(st.sampled_from(list(FORMS)), half_steps, st.sampled_from(["", ".0", "0"]))
def test_every_documented_spelling_is_read(form: str, number: str, more: str) -> None:
    spelled = number + more if (more == "0") == ("." in number) else number
    name, has_scale = FORMS[form]
    cell = form.format(n=spelled, top=100)
    scale = 100 if has_scale else None
    assert rating_of(label_key(f" {cell}\t")) == Rating(number, name.format(top=100), scale)


@given(st.integers(1, 10), st.integers(0, 10))
def test_filled_stars_are_counted(filled: int, empty: int) -> None:
    rating = Rating(str(filled), "★★☆" if empty else "★★★", filled + empty if empty else None)
    assert rating_of("★" * filled + "☆" * empty) == rating


GRAMMAR = re.compile(
    r"\d+(\.\d+)?( ?/ ?\d+( stars)?| out of \d+( stars)?| stars?)|★+☆*", re.ASCII | re.IGNORECASE
)


@given(st.text(st.sampled_from("0123456789./ ★☆-+e_٤⁴½ staroufSTR,"), max_size=12))
def test_nothing_else_is_read(cell: str) -> None:
    if rating_of(label_key(cell)):
        assert GRAMMAR.fullmatch(cell.strip())


@pytest.mark.parametrize(
    "cell",
    [
        *("4", "4.5", "18_24", "1e3", "1e3/5", "٤", "٤/5", "4/٥", "⁴/5", "4½", "½ stars", "4,5/5"),
        *("6/5", "4/0", "13/12", "4/5/2024", "4//5", "4  / 5", "-1/5", "+4/5", "4/5.0", "/5", "4/"),
        *("4 of 5", "4 outof 5", "four stars", "stars", "4stars", "4-star", "4 starss", "4 stars!"),
        *("☆☆☆☆☆", "☆★", "★☆★", "★4", "★½", "⭐⭐⭐", "*****", "80%", "4 / 5 star", "", "N/A"),
        *("1" * 200_000, "1" * 200_000 + "/5", "0." + "0" * 200_000 + " stars"),
    ],
    ids=lambda cell: cell[:12],
)
def test_other_spellings_are_not_ratings(cell: str) -> None:
    assert rating_of(label_key(cell)) is None
