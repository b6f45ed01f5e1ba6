"""Guessed columns and the order of labels."""

import itertools
from pathlib import Path

import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.data import rows
from ordinal.own_data.guess import SCALES, order_of
from ordinal.own_data.inspection import inspect
from tests.own_data.tickets import tickets, write


@pytest.mark.parametrize(
    ("columns", "text", "label", "others"),
    [
        ({"n": "1 2 3", "body": "long", "grade": "x y"}, "body", "grade", ("n",)),
        ({"body": "long", "n": "x y", "m": "1 2 3"}, "body", "m", ("n",)),
        (
            {"overall_rating": "1 2", "score_": "3 4 5", "body": "long"},
            "body",
            "overall_rating",
            ("score_",),
        ),
        ({"body": "long", "id": "unique", "class": "7"}, "body", None, ()),
        ({"link": "unique", "body": "long", "stars": "4.5 5"}, "body", "stars", ()),
    ],
)
def test_the_label_is_guessed_by_its_name_its_order_and_its_few_values(
    columns: dict[str, str], text: str, label: str | None, others: tuple[str, ...], tmp_path: Path
) -> None:
    made = {
        "long": [f"a text that is long, number {number}" for number in range(60)],
        "unique": [f"row-{number}" for number in range(60)],
    }
    table = {
        name: made.get(kind) or list(itertools.islice(itertools.cycle(kind.split()), 60))
        for name, kind in columns.items()
    }
    path = write(pd.DataFrame(table), tmp_path / "t.csv")
    if label is None:
        with pytest.raises(UserError, match="no column looks like labels"):
            inspect(path)
        return
    facts = inspect(path)
    assert (facts.text, facts.label, facts.alternatives) == (text, label, others)


def test_a_column_that_is_named_is_taken(tmp_path: Path) -> None:
    path = write(tickets(), tmp_path / "t.csv")
    facts = inspect(path, text="id")
    assert (facts.text, facts.label) == ("id", "urgency")
    facts = inspect(path, label="channel")
    assert (facts.text, facts.label, facts.classes) == ("ticket", "channel", {"mail": 160})


def test_a_text_that_is_shorter_than_the_named_labels_is_found_all_the_same(tmp_path: Path) -> None:
    table = tickets().assign(grade="one that has many more words than a ticket has")
    facts = inspect(write(table, tmp_path / "t.csv"), label="grade")
    assert (facts.text, facts.label) == ("ticket", "grade")


def test_a_column_of_lists_is_neither_text_nor_label(tmp_path: Path) -> None:
    rows = [{"class": [n % 2, 1], "body": f"text {n}", "stars": n % 3} for n in range(9)]
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    facts = inspect(tmp_path / "t.parquet")
    assert (facts.text, facts.label, facts.alternatives) == ("body", "stars", ())


def test_a_column_whose_values_hardly_repeat_is_no_label(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"class": range(9), "body": [f"text {n}" for n in range(9)], "n": [0, 1, 2] * 3}
    )
    facts = inspect(write(table, tmp_path / "t.csv"))
    assert (facts.label, facts.alternatives) == ("n", ())


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "can't be read: it is empty"),
        ("body,stars\n", {}, "no column holds text: name one with --text"),
        ("body,stars\n", {"text": "body", "label": "stars"}, "no row has both a text"),
        ("a,b\nx,1\nyy,2\n", {"label": "b"}, None),
        ("a,b\nx,1\n", {"text": "c"}, "no column 'c'; it has 'a', 'b'"),
        ("a,b\nx,1\n", {"label": "c"}, "no column 'c'; it has 'a', 'b'"),
        ("a,b\nx,1\n", {"text": "b", "label": "b"}, "can't be both the text and the label"),
        (
            "a,b\nx\0,1\n",
            {"text": "a", "label": "b"},
            "row 1 (not counting the header): column 'a' ",
        ),
    ],
)
def test_a_file_that_is_no_table_of_texts_is_refused(
    content: str, options: dict[str, str], message: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    if message is None:
        assert inspect(path, **options).rows == 2
        return
    with pytest.raises(UserError) as raised:
        inspect(path, **options)
    assert message in str(raised.value)
    assert "t.csv" in str(raised.value)


def test_a_column_of_numbers_without_end_is_no_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MAX_CLASSES", 39)
    table = tickets().assign(number=range(161))
    with pytest.raises(UserError, match="'number' has more than 39 different values"):
        inspect(write(table, tmp_path / "t.csv"), label="number")


@pytest.mark.parametrize(
    ("classes", "order"),
    [
        (["10", "9", "-1"], [-1, 9, 10]),
        (["1", "1.5", "-0.5"], ["-0.5", 1, "1.5"]),
        (["critical", "low", "high"], ["low", "high", "critical"]),
        (["Very Good", "poor", "GOOD"], ["poor", "GOOD", "Very Good"]),
        (["very_negative", "positive"], ["very_negative", "positive"]),
        (["B1", "A2", "C1"], ["A2", "B1", "C1"]),
        (["--", "-", "0", "+", "++"], ["--", "-", 0, "+", "++"]),
        (["-", "+"], ["-", "+"]),
        (["very - good", "very--poor"], ["very--poor", "very - good"]),
        (["--", "-", "1", "+"], None),
        (["low", "high", "purple"], None),
        (["low", "Low", "high"], None),
        (["1", "2", "n/a"], None),
        (["nan", "inf"], None),
    ],
)
def test_numbers_ascend_and_only_well_known_words_are_put_in_order(
    classes: list[str], order: list[int | str] | None
) -> None:
    for shuffled in itertools.permutations(classes):
        assert order_of(shuffled) == order


def test_no_two_scales_contradict_each_other() -> None:
    pairs = {pair for scale in SCALES for pair in itertools.combinations(scale, 2)}
    assert not {(low, high) for low, high in pairs if (high, low) in pairs}
