"""Spellings of labels, and cells of a CSV that a spreadsheet would compute."""

from decimal import Decimal

import pytest

from ordinal.common.labels import as_label, escape_formula, label_key, list_labels, number_of

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


@pytest.mark.parametrize(
    "cell",
    [
        *("18_24", "1_0", "1e1", "1E5", "0x10", "inf", "-inf", "nan", "NaN", "Infinity"),
        *("١", "４", "²", "1,5", "1 000", "--1", "1.2.3", ".", "+", "1-2", "5/5"),
    ],
)
def test_only_digits_with_a_sign_and_a_point_are_a_number(cell: str) -> None:
    assert label_key(cell) == cell
    assert number_of(cell) is None
    assert as_label(cell) == cell


@pytest.mark.parametrize(
    ("cell", "key", "number"),
    [
        ("4", "4", 4),
        ("4.0", "4", 4),
        (" 04.00\t", "4", 4),
        (4.0, "4", 4),
        (Decimal("4.0"), "4", 4),
        (Decimal("4E+1"), "40", 40),
        (1e22, "1" + "0" * 22, 1e22),
        (1e-7, "0.0000001", 1e-7),
        ("-3", "-3", -3),
        ("-0.0", "0", 0),
        ("4.5", "4.5", 4.5),
        ("9007199254740993", "9007199254740993", 2**53),
    ],
)
def test_a_whole_number_has_one_spelling(cell: object, key: str, number: float) -> None:
    assert label_key(cell) == key
    assert number_of(key) == number
    assert label_key(as_label(key)) == key


def test_truth_values_are_words() -> None:
    assert [label_key(True), label_key(False)] == ["True", "False"]


def test_two_unicode_forms_of_a_label_are_one() -> None:
    assert label_key("e\u0301leve\u0301") == label_key("élevé") == "élevé"


@pytest.mark.parametrize("digits", ["0" * 200_000, "1" * 200_000])
def test_a_long_label_is_read_in_linear_time(digits: str) -> None:
    for label in (f"{digits}x", f"{digits}.{digits}x"):
        assert label_key(label) == as_label(label) == label
        assert number_of(label) is None
    assert number_of(f"1{digits}") is None  # infinite as a float
