"""Ids, groups, dates, parts and texts among the other columns of a file."""

import random
from pathlib import Path

import pandas as pd
import pytest

from ordinal.own_data.columns import Columns, find_columns
from ordinal.own_data.inspection import inspect

ROWS = 60
DRAW = random.Random(1)
DAYS = pd.date_range("2024-01-01", periods=ROWS)
COLUMNS = {
    "part": ("part", ["train", "Valid", "test"] * 20),
    "customer": ("group", [f"c{DRAW.randrange(9)}" for _ in range(ROWS)]),
    "userId": ("group", [DRAW.randrange(30) for _ in range(ROWS)]),
    "key": ("group", [f"k-{DRAW.randrange(25)}" for _ in range(ROWS)]),
    "day": ("time", DAYS.strftime("%d.%m.%Y").tolist()),
    "when": ("time", DAYS.strftime("%Y-%m-%d 10:00").tolist()),
    "date": ("time", DAYS.date.tolist()),
    "year": ("time", [2000 + number for number in range(ROWS)]),
    "hotel_id": ("group", [DRAW.randrange(40) for _ in range(ROWS)]),
    "id": ("id", list(range(ROWS))),
    "uid": ("id", [f"{number:04x}0" for number in range(ROWS)]),
    "title": ("text", [f"a short title {number}" for number in range(ROWS)]),
}
NONE = {
    "channel": ["mail", "phone"] * 30,
    "stars": [number % 5 + 1 for number in range(ROWS)],
    "score": [f"{number}/100" for number in range(30)] * 2,
    "price": [f"{number}.50" for number in range(ROWS)],
    "counts": [DRAW.randrange(1000, 1025) for _ in range(ROWS)],
    "unclear": [f"{number % 11 + 1:02}/{number % 11 + 2:02}/2024" for number in range(ROWS)],
    "split": [*["train"] * 59, ""],
    "member": [None, *["m1", "m2", "m3"] * 19, "m1", "m2"],
    "city": DRAW.choices(["Bonn", "Ulm", "Hof"], k=ROWS),
    "empty": [""] * ROWS,
    "nested": [[1, 2]] * ROWS,
    "hotel_no": [DRAW.randrange(1, 30) for _ in range(ROWS)],
}


def use_of(found: Columns, name: str) -> str | None:
    uses = {**dict.fromkeys(found.ids, "id"), **dict.fromkeys(found.texts, "text")}
    uses |= {found.group: "group", found.time: "time", found.part: "part"}
    return uses.get(name)


@pytest.mark.parametrize("name", COLUMNS)
def test_the_use_of_a_column_is_found(name: str) -> None:
    use, cells = COLUMNS[name]
    found = find_columns(pd.DataFrame({name: pd.Series(cells, dtype=object)}))
    assert use_of(found, name) == use
    assert found.without([name]) == Columns()


@pytest.mark.parametrize("name", NONE)
def test_other_columns_have_no_use(name: str) -> None:
    assert find_columns(pd.DataFrame({name: pd.Series(NONE[name], dtype=object)})) == Columns()


def test_columns_of_parts_dates_and_customers_are_not_labels(tmp_path: Path) -> None:
    names = ("part", "customer", "year", "id", "title")
    table = pd.DataFrame({name: COLUMNS[name][1] for name in names})
    table["mark"] = [number % 3 for number in range(ROWS)]
    table["body"] = [f"a much longer text with the number {number}" for number in range(ROWS)]
    table.to_csv(tmp_path / "t.csv", index=False)
    facts = inspect(tmp_path / "t.csv")
    assert (facts.text, facts.label, facts.alternatives) == ("body", "mark", ())
    assert facts.columns == Columns(("id",), "customer", "year", "part", ("title",))
    joined = inspect(tmp_path / "t.csv", ["title", "body"])
    assert (joined.text, joined.label) == (["title", "body"], "mark")
    assert joined.columns.texts == ()
    assert joined.words[1] == facts.words[1] + 4
