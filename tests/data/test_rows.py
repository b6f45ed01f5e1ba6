"""Rules for single cells and rows."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.data import rows

BLANK = [None, float("nan"), "", " \t\n", Decimal("NaN"), pd.NaT]


@pytest.mark.parametrize("cell", BLANK)
def test_a_blank_cell_is_neither_text_nor_label(cell: object) -> None:
    assert rows.is_blank(cell)
    assert rows.text_problem(cell) == rows.unreadable(cell) == "has no text: fill or remove it"
    for known in (["1"], ["None", "nan", "NaT"]):
        assert "the label is empty: fill it" in str(rows.label_problem(cell, known))
        assert rows.lacks_label(cell, known)


@pytest.mark.parametrize("cell", [0, 0.0, False, "0", "-", [], "\0"])
def test_other_cells_are_not_blank(cell: object) -> None:
    assert not rows.is_blank(cell)


@pytest.mark.parametrize("cell", ["N/A", "na", "null", "None", " - ", "--", "?", "nan", "\\N"])
def test_a_label_may_be_spelled_as_missing(cell: str) -> None:
    assert rows.lacks_label(cell, ["1", "2"])
    assert not rows.lacks_label(cell, ["1", cell.strip()])
    assert f"the label is empty ({cell!r})" in str(rows.label_problem(cell, ["1", "2"]))
    assert rows.text_problem(cell) is None


def test_signs_are_labels_next_to_signs() -> None:
    assert not rows.lacks_label("--", ["+", "++"])
    assert rows.label_problem("--", ["+"]) == "'--' is not a known label; known are +"


@pytest.mark.parametrize(
    ("cell", "problem", "in_reviews"),
    [
        ("fine", None, None),
        (5, "holds 5, which is not text", "holds 5, which is not text"),
        (True, "holds True, which is not text", "holds True, which is not text"),
        (b"fine", "holds bytes: decode", "holds bytes: decode"),
        (["a", "b"], "holds a list of 2 values", "holds a list of 2 values"),
        (np.array(["a", "b"]), "holds a list of 2 values", "holds a list of 2 values"),
        ({"a": 1}, "holds an object", "holds an object"),
        (date(2024, 1, 2), "holds a date", "holds a date"),
        (pd.Timestamp("2024-01-02"), "holds a date", "holds a date"),
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


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (b"4", "holds bytes: decode the column"),
        ([4, 5], "holds a list of 2 values: keep one value per row"),
        (np.array([4, 5]), "holds a list of 2 values: keep one value per row"),
        ({"4": 1}, "holds an object: "),
        (date(2024, 4, 5), "holds a date or time: "),
    ],
)
def test_a_label_of_another_type_is_named(cell: object, message: str) -> None:
    assert message in str(rows.label_problem(cell, {"4": 0, str(cell): 1}))


def test_labels_are_known_by_their_key() -> None:
    assert rows.label_problem(" 4.0", {"4": 0, "-": 1}) is None
    assert rows.label_problem("-", {"4": 0, "-": 1}) is None
    assert rows.label_problem("--", {"4": 0, "-": 1}) == "'--' is not a known label; known are 4, -"


def test_too_many_labels_are_refused() -> None:
    rows.refuse_many_classes(1000, "r.csv", "stars", "choose another")
    with pytest.raises(UserError, match="more than 1000 different values: choose another"):
        rows.refuse_many_classes(1001, "r.csv", "stars", "choose another")
