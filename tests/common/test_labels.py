"""What a label is."""

import pytest

from ordinal.common.labels import formula_among


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "--"])
def test_what_a_spreadsheet_would_compute_is_known(cell: str) -> None:
    assert formula_among(["good", cell]) is not None


@pytest.mark.parametrize("cell", ["5", "-1", "+1", "-0.5", "", "good", "a=b", "1-2", "'=1"])
def test_numbers_and_words_are_no_formulas(cell: str) -> None:
    assert formula_among(["good", cell]) is None
