"""Spellings of labels, and cells of a CSV that a spreadsheet would compute."""

import pytest

from ordinal.common.labels import as_label, escape_formula, label_key, list_labels

SIGNS = ["--", "-", "0", "+", "++"]


@pytest.mark.parametrize(
    "cell",
    [
        *("=1+1", "=1", "+49 30", "-2+3", "@SUM(A1)", "@1", "\t=1", "\t1", "\r=1"),
        *("--", "-", "+", "++", "-1\n", "-1.", "+inf", "-nan", "-1_0"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_compute_gets_an_apostrophe(cell: str) -> None:
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell",
    ["5", "-1", "+1", "-0.5", "-1e-05", "", "good", "a=b", "1-2", "'=1", " =1", "0"],
)
def test_numbers_and_words_stay_as_they_are(cell: str) -> None:
    assert escape_formula(cell) == cell


def test_signs_are_labels_of_their_own_next_to_a_number() -> None:
    assert [label_key(label) for label in SIGNS] == SIGNS
    assert [label_key(as_label(key)) for key in SIGNS] == SIGNS
    assert [as_label(key) for key in SIGNS] == ["--", "-", 0, "+", "++"]
    assert label_key(0) == label_key("0.0") == label_key(" 0") == label_key("+0") == "0"


def test_a_sentence_names_ten_labels() -> None:
    assert list_labels([1, "b"]) == "1, b"
    assert list_labels(range(1, 11)) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    assert list_labels(range(1, 12)) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"
