"""Rules for single cells and rows."""

import pytest

from ordinal.common.errors import UserError
from ordinal.data import rows

BLANK = [None, float("nan"), "", " \t\n"]


@pytest.mark.parametrize("cell", BLANK)
def test_a_blank_cell_is_neither_text_nor_label(cell: object) -> None:
    assert rows.is_blank(cell)
    assert rows.text_problem(cell) == rows.unreadable(cell) == "has no text: fill or remove it"
    assert rows.label_problem(cell, ["1"]) == "the label is empty; known are 1"
    assert rows.is_blank_row(cell, None)
    assert not rows.is_blank_row(cell, 0)
    assert not rows.is_blank_row("a", cell)
    assert rows.is_incomplete(cell, 0)
    assert rows.is_incomplete("a", cell)


@pytest.mark.parametrize("cell", [0, 0.0, False, "0", "-", [], "\0"])
def test_other_cells_are_not_blank(cell: object) -> None:
    assert not rows.is_blank(cell)


def test_a_row_needs_a_text_and_a_label() -> None:
    assert not rows.is_incomplete("a", 0)
    assert rows.is_incomplete(1, 0)


@pytest.mark.parametrize(
    ("cell", "problem", "in_reviews"),
    [
        ("fine", None, None),
        (5, "has no text", "has no text"),
        ("half \ud83d", "half of a surrogate pair", "half of a surrogate pair"),
        ("nul \0", None, "a NUL character"),
    ],
)
def test_text_has_to_be_readable_and_a_review_has_no_nul(
    cell: object, problem: str | None, in_reviews: str | None
) -> None:
    for found, expected in (
        (rows.unreadable(cell), problem),
        (rows.text_problem(cell), in_reviews),
    ):
        assert found is None if expected is None else expected in str(found)


def test_labels_are_known_by_their_key() -> None:
    assert rows.label_problem(" 4.0", {"4": 0, "-": 1}) is None
    assert rows.label_problem("-", {"4": 0, "-": 1}) is None
    assert rows.label_problem("--", {"4": 0, "-": 1}) == "'--' is not a known label; known are 4, -"


def test_too_many_labels_are_refused() -> None:
    rows.refuse_many_classes(1000, "r.csv", "stars", "choose another")
    with pytest.raises(UserError, match="more than 1000 different values: choose another"):
        rows.refuse_many_classes(1001, "r.csv", "stars", "choose another")
