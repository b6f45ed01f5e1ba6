"""Reading and checking reviews: all kinds of files, and errors that name the row."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordinal.common.errors import UserError
from ordinal.data.inference import infer_labels
from ordinal.data.reviews import write_reviews
from ordinal.data.tables import read_table

ROWS = [("Lovely, quiet room", 5), ("NA", 1), ("Il y a «mieux»\nailleurs 🙂", 3)]
STARS = [1, 2, 3, 4, 5]


def convert(source: Path, out: Path, labels: list[int | str]) -> dict[str, object]:
    return write_reviews(
        read_table(source, ["review", "stars"], source.name), labels, out, source.name
    )


@pytest.mark.parametrize(
    "name", ["r.csv", "r.csv.gz", "r.csv.zip", "r.tsv", "r.jsonl", "r.jsonl.gz", "r.parquet"]
)
def test_every_kind_of_file_gives_the_same_reviews(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    table = pd.DataFrame(ROWS, columns=["review", "stars"])
    if "jsonl" in name:
        table.to_json(path, orient="records", lines=True)
    elif name.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    facts = convert(path, tmp_path / "out.parquet", [1, 3, 5])
    written = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert written == [{"text": text, "label": stars // 2} for text, stars in ROWS]
    assert facts["rows_per_label"] == {"1": 1, "3": 1, "5": 1}


def test_labels_are_matched_by_value_and_may_be_words(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("review,stars\na,4.0\nb, 4\nc,04\nd,2\n")
    convert(path, tmp_path / "out.parquet", [2, 4])
    assert pq.read_table(tmp_path / "out.parquet")["label"].to_pylist() == [1, 1, 1, 0]
    path.write_text("review,stars\na,good\nb,bad\nc,fair\n")
    convert(path, tmp_path / "out.parquet", ["bad", "fair", "good"])
    assert pq.read_table(tmp_path / "out.parquet")["label"].to_pylist() == [2, 0, 1]


def test_signs_are_labels(tmp_path: Path) -> None:
    signs = ["--", "-", 0, "+", "++"]
    path = tmp_path / "r.csv"
    path.write_text("review,stars\n" + "".join(f"{row},{sign}\n" for row, sign in enumerate(signs)))
    counts = convert(path, tmp_path / "out.parquet", signs)
    assert pq.read_table(tmp_path / "out.parquet")["label"].to_pylist() == [0, 1, 2, 3, 4]
    assert counts["rows_per_label"] == {"--": 1, "-": 1, "0": 1, "+": 1, "++": 1}


def test_rows_with_neither_text_nor_label_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("review,stars\nfine,4\n,\n  ,\nbad,1\n")
    facts = convert(path, tmp_path / "out.parquet", [1, 4])
    assert facts["rows"] == 2
    assert facts["dropped"] == {"blank rows": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "review,stars\nfine,4\n  ,3\n",
            "row 2 (not counting the header): column 'review' has no text",
        ),
        (
            "review,stars\nfine,4\nbad,\n",
            "row 2 (not counting the header): column 'stars': the label is empty",
        ),
        (
            "review,stars\nfine,6\n",
            "column 'stars': '6' is not a known label; known are 1, 2, 3, 4, 5",
        ),
        ("review,stars\nfine,4.5\n", "'4.5' is not a known label"),
        ("text,stars\nfine,4\n", "no column 'review'; it has 'text', 'stars'"),
        ("", "can't be read: it is empty"),
        (
            'review,stars\nfine,4\n"two\nlines",4\n"never closed,4\n',
            "row 3 (not counting the header) has a quotation mark that is never closed",
        ),
        (
            'review,stars\nfine,4\n"two\nlines",4\nfine, thanks,4\n',
            "row 3 (not counting the header) has 3 columns, the header has 2",
        ),
    ],
)
def test_bad_rows_are_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        convert(path, tmp_path / "out.parquet", STARS)
    assert message in str(raised.value)
    assert "r.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"review": "a", "stars": 1, "stars": 1}', "duplicate key 'stars'"),
        ('{"review": "a', "not valid JSON (Unterminated string starting at: column 12)"),
        ("[" * 99_999, "JSON nested too deeply"),
        ('["a", 1]', "not an object in braces"),
        (
            "\xff",
            "not UTF-8: save the file as UTF-8, or, if it is cp1252, add --format encoding=cp1252 "
            "(in data/catalog.yaml: `format: {encoding: cp1252}`)",
        ),
    ],
)
def test_a_bad_line_of_json_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"review": "fine", "stars": 4}\n\n' + line.encode("latin-1"))
    with pytest.raises(UserError) as raised:
        convert(path, tmp_path / "out.parquet", STARS)
    assert str(raised.value) == f"r.jsonl, line 3: {message}"


def test_whole_numbers_are_labels_in_their_order_and_words_must_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [{"review": "a", "stars": value} for value in (10, 2, "2.0", None)]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    assert infer_labels(path, "stars") == [2, 10]
    path.write_text('{"stars": "good"}\n{"stars": "bad"}')
    with pytest.raises(UserError, match="list them from lowest to highest"):
        infer_labels(path, "stars")
    path.write_text('{"stars": 3}\n{"stars": 3}')
    with pytest.raises(UserError, match="at least 2 are needed"):
        infer_labels(path, "stars")


def test_labels_with_underscores_are_words_and_so_must_be_listed(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("review,stars\na,18_24\nb,25_34\n")
    with pytest.raises(UserError, match="label '18_24' is not a whole number"):
        infer_labels(path, "stars")
    convert(path, tmp_path / "out.parquet", ["18_24", "25_34"])
    with pytest.raises(UserError, match="'18_24' is not a known label; known are 1824, 2534"):
        convert(path, tmp_path / "out.parquet", [1824, 2534])


GAPS = [("fine", "N/A"), ("bad", 1), ("", 1), (None, None), ("so-so", "-"), ("N/A", 4), ("", "?")]


def test_rows_that_lack_something_are_dropped_and_counted_on_request(tmp_path: Path) -> None:
    table = pd.DataFrame(GAPS, columns=["review", "stars"], dtype=object)
    out = tmp_path / "out.parquet"
    facts = write_reviews([table], [1, 4], out, "r.csv", "drop")
    assert facts["dropped"] == {
        "blank rows": 2,
        "rows without a label": 2,
        "rows without a text": 1,
    }
    assert pq.read_table(out)["text"].to_pylist() == ["bad", "N/A"]
    with pytest.raises(UserError) as raised:
        write_reviews([table], [1, 4], out, "r.csv")
    message = "r.csv, row 1 (not counting the header): column 'stars': the label is empty ('N/A')"
    assert message in str(raised.value)
    assert "set data.missing to drop such rows" in str(raised.value)


def test_a_label_that_is_spelled_as_missing_is_a_label_if_it_is_listed(tmp_path: Path) -> None:
    table = pd.DataFrame({"review": ["a", "b", "c"], "stars": ["-", "none", "+"]})
    facts = write_reviews([table], ["none", "-", "+"], tmp_path / "out.parquet", "r.csv", "drop")
    assert facts["rows_per_label"] == {"none": 1, "-": 1, "+": 1}
    assert sum(facts["dropped"].values()) == 0


def test_whole_numbers_are_inferred_next_to_missing_labels(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("review,stars\na,N/A\nb,1.0\nc,-\nd,2\n")
    assert infer_labels(path, "stars") == [1, 2]


@pytest.mark.parametrize(
    ("review", "stars", "message"),
    [
        (b"fine", 4, "column 'review' holds bytes: decode the column"),
        ("fine", b"4", "column 'stars': holds bytes: decode the column"),
        (["fine", "bad"], 4, "column 'review' holds a list of 2 values"),
        ("fine", [4, 5], "column 'stars': holds a list of 2 values"),
        (date(2024, 1, 2), 4, "column 'review' holds a date or time"),
        ("fine", date(2024, 1, 2), "column 'stars': holds a date or time"),
        ("fine", {"a": 1}, "column 'stars': holds an object"),
        (5, 4, "column 'review' holds 5, which is not text"),
    ],
)
def test_columns_of_other_types_are_named(
    review: object, stars: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.parquet"
    pq.write_table(pa.table({"review": [review], "stars": [stars]}), path)
    with pytest.raises(UserError) as raised:
        convert(path, tmp_path / "out.parquet", STARS)
    assert message in str(raised.value)
    assert "row 1" in str(raised.value)


@pytest.mark.parametrize("name", ["r.jsonl", "r.parquet"])
def test_lists_of_one_value_are_unwrapped_and_empty_ones_missing(name: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"review": [["a"], ["b"], ["c"]], "stars": [["1"], ["4.0"], []]})
    path = tmp_path / name
    if name == "r.jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path)
    repairs: Counter[str] = Counter()
    chunks = read_table(path, ["review", "stars"], name, None, repairs)
    facts = write_reviews(chunks, [1, 4], tmp_path / "out.parquet", name, "drop")
    assert facts["rows_per_label"] == {"1": 1, "4": 1}
    assert facts["dropped"]["rows without a label"] == 1
    assert repairs == {"lists of one value unwrapped": 5}
