"""Names of columns in parameters, and the text of a row with several text columns."""

from pathlib import Path

import pytest
import yaml

from ordinal.common.columns import OWN_COLUMNS, join_texts, probability_columns, refuse_own_columns
from ordinal.common.errors import UserError
from ordinal.common.params import Data, Split
from ordinal.evaluation.predictions import COLUMNS


def data(tmp_path: Path, **values: object) -> Data:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"data": {"name": "a.csv", "label": "stars"} | values}))
    return Data.load(path)


def test_a_text_column_may_be_a_list_and_a_list_of_one_is_its_column(tmp_path: Path) -> None:
    assert data(tmp_path, text=["title", "body"]).text == ["title", "body"]
    assert data(tmp_path, text=["body"]).text == data(tmp_path, text="body").text == "body"
    assert data(tmp_path, text=[1, 3], keep=[4]).text == ["1", "3"]
    assert data(tmp_path, text=None).text is None
    assert data(tmp_path, keep=["id", 4]).keep == ["id", "4"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": []}, "data.text: the list names no column"),
        ({"text": ["a", "a"]}, "data.text: 'a' is listed twice"),
        ({"text": ["a", ["b"]]}, "data.text is ['a', ['b']]: it must be text"),
        ({"text": {"a": "b"}}, "data.text is {'a': 'b'}: it must be text"),
        ({"text": True}, "data.text is true"),
        ({"text": ["a", "stars"]}, "'stars' can't be both the text and the label"),
        ({"keep": "id"}, "data.keep is 'id': it must be a list"),
        ({"keep": ["id", "id"]}, "data.keep: 'id' is listed twice"),
        ({"keep": [None]}, "data.keep is [None]: it must be text"),
        ({"keep": ["stars"]}, "'stars' is already the text or the label: remove it from keep"),
        ({"text": ["a", "b"], "keep": ["b"]}, "'b' is already the text or the label"),
    ],
)
def test_a_mistake_in_the_columns_is_reported(
    values: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as raised:
        data(tmp_path, **values)
    assert message in str(raised.value)


@pytest.mark.parametrize("method", ["group", "time"])
def test_a_method_that_needs_a_column_is_refused_without_one(method: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"split: {{method: {method}}}")
    with pytest.raises(UserError, match=f"method {method} needs a column: set column to that of"):
        Split.load(path)
    path.write_text(f"split: {{method: {method}, column: 3}}")
    assert Split.load(path).column == "3"


def test_blank_texts_are_left_out_of_a_joined_text() -> None:
    assert join_texts(["Nice", "Clean room. "]) == "Nice\nClean room. "
    assert join_texts(["", "Clean room", None, " \t"]) == "Clean room"
    assert join_texts([None, " "]) == ""


def test_no_kept_column_has_the_name_of_a_column_of_ours() -> None:
    assert set(COLUMNS) < set(OWN_COLUMNS)
    assert probability_columns(["low", "high"]) == ["p_low", "p_high"]
    refuse_own_columns(["id", "part", "p_6"], ["1", "5"], has_parts=False)
    for name in (*OWN_COLUMNS, "p_5", "part"):
        with pytest.raises(UserError, match=f"column '{name}' can't be kept"):
            refuse_own_columns(["id", name], ["1", "5"], has_parts=True)
