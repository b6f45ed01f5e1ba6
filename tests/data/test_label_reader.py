"""Labels as they are listed, mapped, put into bins, or written as ratings."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.labels import label_key
from ordinal.data.inference import infer_labels
from ordinal.data.label_reader import LabelReader, Reading
from ordinal.data.reviews import Source, write_sources

STARS = [1, 2, 3, 4, 5]
HALVES = ["0.5", 1, "1.5", 2, "2.5", 3, "3.5", 4, "4.5", 5]
WHOLE = LabelReader(STARS)
BINS = [0, 20, 40, 60, 80, 100]
words = st.text(st.characters(categories=("L", "N", "So", "Sm")), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("cell", "label", "repair"),
    [
        (4, 4, None),
        ("4.0", 4, None),
        ("04.00", 4, None),
        ("4 stars", 4, "labels read from N stars"),
        ("1 star", 1, "labels read from N stars"),
        ("4/5", 4, "labels read from N/5"),
        ("4 / 5", 4, "labels read from N/5"),
        ("4.0/5", 4, "labels read from N/5"),
        ("4.0 out of 5 stars", 4, "labels read from N out of 5"),
        ("★★★★☆", 4, "labels read from ★★☆"),
        ("★★★★", 4, "labels read from ★★★"),
    ],
)
def test_the_usual_spellings_of_stars_are_read(
    cell: object, label: int, repair: str | None
) -> None:
    assert WHOLE.read(cell) == Reading(label - 1, repair)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("4/10", "'4/10' is out of 10, but the highest number is 5: say in data/catalog.yaml"),
        ("★★★☆", "'★★★☆' is out of 4, but the highest number is 5"),
        ("13/12", "'13/12' is not a known label; known are 1, 2, 3, 4, 5"),
        ("4/5/2024", "is not a known label"),
        ("4.5/5", "'4.5/5' is not a known label"),
        ("0/5", "is not a known label"),
        ("good", "is not a known label"),
        ("18_24", "is not a known label"),
        ("4e0", "is not a known label"),
        ("٤", "is not a known label"),
        ("٤/5", "is not a known label"),
        ("", "the label is empty"),
    ],
)
def test_other_spellings_are_refused(cell: str, message: str) -> None:
    assert WHOLE.read(cell) is None
    assert message in WHOLE.problem(cell)


def test_ratings_are_read_only_if_all_labels_are_numbers() -> None:
    reader = LabelReader(["none", 1, 2])
    assert reader.read("2") == Reading(2)
    assert reader.read("2 stars") is None
    assert "'2 stars' is not a known label; known are none, 1, 2" in reader.problem("2 stars")


def test_half_steps_and_zero_to_ten_are_read() -> None:
    reader = LabelReader(HALVES)
    cells = [f"{step / 2}/5" for step in range(1, 11)]
    assert [reader.read(cell).label for cell in cells] == list(range(10))
    assert reader.read(4.5) == reader.read("4.50") == Reading(8)
    ten = LabelReader(range(11))
    assert [ten.read(f"{number}/10").label for number in range(11)] == list(range(11))
    assert ten.read("4/5") is None


@given(
    st.lists(words.map(label_key), min_size=2, max_size=5, unique=True),
    st.dictionaries(words.map(label_key), st.integers(0, 4), min_size=1, max_size=8),
)
def test_a_map_keeps_the_order_of_the_labels(labels: list[str], drawn: dict[str, int]) -> None:
    spellings = {key: labels[i % len(labels)] for key, i in drawn.items() if key not in labels}
    reader = LabelReader(labels, spellings)
    for place, label in enumerate(labels):
        assert reader.read(label) == Reading(place)
    for spelling, label in spellings.items():
        assert reader.read(f" {spelling} ") == Reading(labels.index(label), "labels mapped")


@given(words)
def test_what_neither_the_labels_nor_the_map_list_is_refused(cell: str) -> None:
    reader = LabelReader(["low", "high"], {"L": "low", "N/A": "high", 7: "high"})
    if label_key(cell) not in ("low", "high", "L", "N/A", "7"):
        assert reader.read(cell) is None
        assert reader.problem(cell)


def test_a_map_comes_first_and_knows_spellings_of_a_missing_label() -> None:
    reader = LabelReader([1, 2, 3], {"4/10": 2, "none": 1, "2/3": 3})
    assert [reader.read(cell).label for cell in ("4/10", "none", "2/3", "1/3")] == [1, 0, 2, 0]
    assert reader.read("N/A") is None


@given(st.integers(-500_000, 1_500_000), st.sampled_from(["number", "text", "rating"]))
def test_bins_agree_with_pandas(number: int, kind: str) -> None:
    value = number / 10_000
    cell = {"number": value, "text": str(value), "rating": f"{value:.4f}/100"}[kind]
    reader = LabelReader(STARS, bins=BINS)
    [expected] = pd.cut([value], [*BINS[:-1], 100.00001], right=False, labels=False)
    reading = reader.read(cell)
    if 0 <= value <= 100:
        assert reading.label == expected
        assert reading.repair == "labels put into bins"
    else:
        assert reading is None


@pytest.mark.parametrize("cell", ["101", "-1", "good", "5 of 9", "1e1", "50%"])
def test_what_is_in_no_bin_is_refused(cell: str) -> None:
    reader = LabelReader(["low", "high"], {"n.d.": "low"}, [0, 50, 100])
    assert reader.read("n.d.") == Reading(0, "labels mapped")
    assert reader.read("high") is None
    assert reader.read(cell) is None
    assert reader.problem(cell) == f"'{cell}' is not a number from 0 to 100"
    assert reader.problem("4/5").startswith("'4/5' is out of 5, but the highest number is 100")


def test_spellings_are_counted_per_row_and_errors_name_the_row(tmp_path: Path) -> None:
    cells = ["4 stars", "4 stars", "4/5", "4", "1", None, "x"]
    table = pd.DataFrame({"review": "fine", "stars": cells}, dtype=object)
    table.loc[5, "review"] = None
    reader = LabelReader([1, 4, 5], {"x": 5})
    repairs: Counter[str] = Counter()
    out = tmp_path / "out.parquet"
    write_sources([Source("r.csv", [table])], reader, out, "r.csv", repairs=repairs)
    assert repairs == {
        "labels read from N stars": 2,
        "labels read from N/5": 1,
        "labels mapped": 1,
    }
    table.loc[2, "stars"] = "4/10"
    with pytest.raises(UserError, match=r"r.csv, row 3 .*column 'stars': '4/10' is out of 10"):
        write_sources([Source("r.csv", [table])], reader, out, "r.csv")


def labels_in(cells: list[str], folder: Path) -> list[int | str]:
    path = folder / "r.csv"
    pd.DataFrame({"review": "fine", "stars": cells}).to_csv(path, index=False)
    return infer_labels(path, "stars")


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["1/5", "5/5", "3 / 5", "2", "4.0"], STARS),
        (["1 star", "3 stars", "★★"], [1, 2, 3]),
        (["★☆", "★★"], [1, 2]),
        (["0.5", "1.0", "2.50"], ["0.5", 1, "2.5"]),
        ([f"{number}/10" for number in range(11)], list(range(11))),
        ([*"12345" * 9, "4.5", "4.5"], [1, 2, 3, 4, "4.5", 5]),
        ([*"12345" * 9, "3.5", "4.5"], [1, 2, 3, "3.5", 4, "4.5", 5]),
    ],
)
def test_labels_are_inferred(cells: list[str], labels: list[object], tmp_path: Path) -> None:
    assert labels_in(cells, tmp_path) == labels


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1/5", "4/5", "5/5", "4/10"], "row 4 .*'4/10' is out of 10, but the highest .* '5/5'"),
        (["1/5", "4/5", "13/12"], "row 3 .*label '13/12' is not a whole number"),
        (["1/5", "4/5"], "row 1 .*'1/5' is out of 5, but the highest label is '4/5'.*map"),
        (["4/5", "7"], "row 1 .*'4/5' is out of 5, but the highest label is '7'"),
        (["1", "2", "good"], "row 3 .*label 'good' is not a whole number.*list them"),
        (
            [*"12345" * 9, "4.5"],
            r"row 46 .*'4.5' is between whole numbers, and only 1 of 46 rows have such a label.*"
            r"`map: \{'4.5': 5\}`",
        ),
        ([*"12345" * 60, "2.5/5", "4.5"], "row 301 .*'2.5/5' .* only 2 of 302.*'2.5/5': 3"),
        (["1", "4.37"], "row 2 .*'4.37' is neither a whole number nor a half step.*`bins`"),
    ],
)
def test_ambiguous_labels_are_not_inferred(cells: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        labels_in(cells, tmp_path)
