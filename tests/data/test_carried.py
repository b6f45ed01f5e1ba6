"""Columns that are carried along: no value changes, whatever the file."""

import json
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.formats import Format
from ordinal.common.parts import File
from ordinal.data.files import columns_to_keep, open_files
from ordinal.data.label_reader import LabelReader
from ordinal.data.reviews import Layout, Source, write_reviews, write_sources

STARS = [1, 2, 3]


def kept(files: list[File], keep: list[str], out: Path, texts: tuple[str, ...] = ("review",)):
    sources, layout = open_files(files, texts, "stars", keep, Format(), Counter())
    facts = write_sources(sources, LabelReader(STARS), out, "the reviews", "refuse", layout)
    return pq.read_table(out), facts


cells = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=30))
def test_cells_of_a_csv_file_come_back_as_they_are_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    table = pd.DataFrame(rows, columns=["id", "when"])
    table.insert(0, "stars", [number % 3 + 1 for number in range(len(rows))])
    table.insert(1, "review", "fine")
    table = pd.concat([table, pd.DataFrame({"stars": STARS, "review": "x", "id": "", "when": "1"})])
    table.to_csv(folder / "r.csv", index=False)
    found, _ = kept([File(folder / "r.csv", "r.csv")], ["when", "id"], folder / "out.parquet")
    assert found.column_names == ["text", "label", "when", "id"]
    assert found["id"].to_pylist() == table["id"].to_list()
    assert found["when"].to_pylist() == table["when"].to_list()


COLUMNS = {
    "whole": pa.array([1, None, 1 << 62], pa.int64()),
    "small": pa.array([1, 2, 3], pa.uint8()),
    "number": pa.array([0.5, None, 2.0], pa.float32()),
    "decimal": pa.array([Decimal("1.50"), None, Decimal("2.25")]),
    "day": pa.array([date(2021, 1, 2), None, date(1600, 1, 1)]),
    "moment": pa.array([datetime(2021, 1, 2, 3, 4, 5, 6), None, None], pa.timestamp("us", "UTC")),
    "truth": pa.array([True, None, False]),
    "word": pa.array(["a", None, ""]),
    "nothing": pa.array([None, None, None], pa.string()),
}


def test_columns_of_parquet_keep_their_types(tmp_path: Path) -> None:
    table = pa.table({"review": ["a", "b", "c"], "stars": STARS} | COLUMNS)
    pq.write_table(table, tmp_path / "r.parquet")
    file = File(tmp_path / "r.parquet", "r.parquet")
    found, _ = kept([file], list(COLUMNS), tmp_path / "out.parquet")
    for name, cells in COLUMNS.items():
        assert found[name].combine_chunks().equals(cells), name


def test_other_types_of_parquet_become_text(tmp_path: Path) -> None:
    columns = {
        "list": pa.array([[1], [2, 3], None]),
        "object": pa.array([{"a": 1}, {"a": None}, None]),
        "bytes": pa.array([b"a", b"\xff", None]),
        "category": pa.array(["x", "y", None]).dictionary_encode(),
    }
    pq.write_table(
        pa.table({"review": ["a", "b", "c"], "stars": STARS} | columns), tmp_path / "r.parquet"
    )
    file = File(tmp_path / "r.parquet", "r.parquet")
    found, _ = kept([file], list(columns), tmp_path / "out.parquet")
    assert found.drop_columns(["text", "label"]).to_pydict() == {
        "list": ["[1]", "[2, 3]", None],
        "object": ['{"a": 1}', '{"a": null}', None],
        "bytes": ["a", "\\xff", None],
        "category": ["x", "y", None],
    }


def test_values_of_json_lines_keep_their_types_if_all_rows_agree(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(
        '{"review": ["a"], "stars": 1, "id": 1, "mixed": 1, "big": 1, "list": [1]}\n'
        '{"review": "b", "stars": 2, "id": 2.5, "mixed": "x", "big": 9999999999999999999}\n'
        '{"review": "c", "stars": 3, "mixed": true, "late": "\\ud800!"}\n'
    )
    file = File(tmp_path / "r.jsonl", "r.jsonl")
    keep = ["id", "mixed", "big", "list", "late"]
    found, _ = kept([file], keep, tmp_path / "out.parquet")
    assert found.to_pydict() == {
        "text": ["a", "b", "c"],
        "label": [0, 1, 2],
        "id": [1.0, 2.5, None],
        "mixed": ["1", "x", "true"],
        "big": ["1", "9999999999999999999", None],
        "list": ["[1]", None, None],
        "late": [None, None, "\\ud800!"],
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | cells,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(cells, inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(values, min_size=1, max_size=12))
def test_any_value_of_json_is_kept_as_it_is_or_as_json(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[object]
) -> None:
    folder = tmp_path_factory.mktemp("json")
    rows = [{"review": "a", "stars": star, "id": value} for star in STARS for value in drawn]
    (folder / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found, _ = kept([File(folder / "r.jsonl", "r.jsonl")], ["id"], folder / "out.parquet")
    for value, cell in zip([row["id"] for row in rows], found["id"].to_pylist(), strict=True):
        is_text = isinstance(cell, str) and not isinstance(value, str)
        assert (json.loads(cell) if is_text else cell) == value


def test_dates_and_numbers_of_excel_keep_their_types(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "review": ["a", "b", "c"],
            "stars": STARS,
            "when": [datetime(2021, 1, day) for day in STARS],
        }
    )
    table["id"] = [1, 2, 3]
    table.to_excel(tmp_path / "r.xlsx", index=False)
    found, _ = kept([File(tmp_path / "r.xlsx", "r.xlsx")], ["id", "when"], tmp_path / "out.parquet")
    assert found["id"].to_pylist() == [1, 2, 3]
    assert found["when"].to_pylist() == list(table["when"])


def test_files_of_parts_are_written_in_order_with_their_part(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("review,stars,id\na,1,07\nb,2,8\n,,9\n")
    (tmp_path / "b.jsonl").write_text('{"review": "c", "stars": 3, "id": 9}\n')
    files = [
        File(tmp_path / "a.csv", "a.csv", "train"),
        File(tmp_path / "b.jsonl", "b.jsonl", "test"),
    ]
    found, facts = kept(files, ["id"], tmp_path / "out.parquet")
    assert found.to_pydict() == {
        "text": ["a", "b", "c"],
        "label": [0, 1, 2],
        "id": ["07", "8", "9"],
        "part": ["train", "train", "test"],
    }
    assert facts["rows_per_part"] == {"train": 2, "test": 1}
    (tmp_path / "b.jsonl").write_text('{"review": "c", "stars": 3, "id": 9}\n{"stars": 3}\n')
    with pytest.raises(UserError, match=r"b\.jsonl, row 2 .*column 'review' has no text"):
        kept(files, [], tmp_path / "out.parquet")
    (tmp_path / "a.csv").write_text("review,stars,day\na,1,07\nb,2,8\n")
    with pytest.raises(UserError, match=r"b\.jsonl: no column 'day'; it has 'review', 'stars', 'i"):
        kept(files, ["day"], tmp_path / "out.parquet")


def test_texts_of_several_columns_are_joined_without_the_blank_ones(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [("a", "b", 1), (None, "c", 2), ("d", " ", 3), ("", float("nan"), None)],
        columns=["title", "body", "stars"],
        dtype=object,
    )
    out = tmp_path / "out.parquet"
    facts = write_reviews([table], STARS, out, "r.csv", layout=Layout(texts=2))
    assert pq.read_table(out)["text"].to_pylist() == ["a\nb", "c", "d"]
    assert facts["dropped"] == {"blank rows": 1}
    for row, message in (
        (
            ("", " ", 3),
            "row 5 (not counting the header): column 'title' + 'body' has no text: fill",
        ),
        (("a", 5, 3), "column 'body' holds 5, which is not text"),
        (("a\0", "b", 3), "column 'title' has a NUL character"),
        ((b"a", "b", 3), "column 'title' holds bytes"),
    ):
        with pytest.raises(UserError) as raised:
            write_reviews(
                [table, pd.DataFrame([row], columns=table.columns)],
                STARS,
                out,
                "r.csv",
                layout=Layout(texts=2),
            )
        assert message in str(raised.value)


def test_rows_that_are_dropped_take_their_kept_cells_along(tmp_path: Path) -> None:
    table = pd.DataFrame(
        [("a", 1, "i"), (None, 2, "j"), (None, None, "k"), ("d", 2, "l"), ("e", 3, "m")],
        columns=["review", "stars", "id"],
        dtype=object,
    )
    layout = Layout(keep=pa.schema([("id", pa.string())]))
    out = tmp_path / "out.parquet"
    write_sources([Source("r.csv", [table])], LabelReader(STARS), out, "r.csv", "drop", layout)
    assert pq.read_table(out)["id"].to_pylist() == ["i", "l", "m"]


def test_the_column_of_the_split_is_kept_and_the_label_is_not_kept_again() -> None:
    assert columns_to_keep(["id"], ["review", "stars"], "customer") == ["id", "customer"]
    assert columns_to_keep(["id", " customer"], ["review", "stars"], "customer ") == [
        "id",
        "customer",
    ]
    assert columns_to_keep([], ["review", "stars"], None) == []
    with pytest.raises(UserError, match=r"data\.keep: 'stars' is already the text or the label"):
        columns_to_keep(["stars"], ["review", "stars"], None)
    with pytest.raises(UserError, match=r"split\.column: 'review' is already the text or the lab"):
        columns_to_keep([], ["review", "stars"], "review")
