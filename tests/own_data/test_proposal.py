"""Proposed catalog entries, and the warnings next to them."""

import re
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.data.reviews import write_reviews
from ordinal.data.tables import read_table
from ordinal.own_data.catalog_entry import add_entry
from ordinal.own_data.guess import order_of
from ordinal.own_data.inspection import inspect
from ordinal.own_data.label_scale import Scale, find_scale
from ordinal.own_data.proposal import parse_labels, propose, warnings_about
from ordinal.sources.catalog import load_catalog
from tests.conftest import ROOT
from tests.own_data.tickets import GRADES, entry_of, tickets, write

ODD = [
    "--",
    "-",
    "0",
    "+",
    "++",
    "=1+1",
    "no",
    "yes",
    "null",
    "1.5",
    "-3",
    "1e3",
    "1000",
    "18_24",
    "1824",
    "inf",
    "nan",
    "١",
    "e\u0301",
    ".5",
    "5.",
    "2024-01-01",
    "a: b",
    "# x",
    "[",
    "~",
    'a"b',
    "a,b",
]
label_names = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8),
    st.sampled_from(ODD),
    st.integers(-99, 99).map(str),
).filter(lambda name: name == name.strip() != "")


def plain(name: str) -> object:
    """Return the form of a label that no two labels may share."""
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", name, re.ASCII):
        return float(name)
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


@settings(max_examples=50)
@given(st.lists(label_names, min_size=2, max_size=6, unique_by=plain))
def test_any_proposed_entry_loads_and_the_pipeline_reads_the_file_by_it(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("entry")
    texts = [f"text {number}" for number in range(len(drawn))]
    path = write(pd.DataFrame({"body, long": texts, "y": drawn}), folder / "t.csv")
    facts = inspect(path, "body, long", "y", labels=parse_labels(quoted(drawn)))
    order = order_of(facts.classes) or parse_labels(quoted(sorted(facts.classes)))
    entry = propose(facts, str(path), Scale(order), origin="made: up # here", synthetic=True)
    catalog = folder / "catalog.yaml"
    catalog.write_bytes((ROOT / "data/catalog.yaml").read_bytes())
    add_entry(catalog, "mine", entry)

    read = load_catalog(catalog).data["mine"]
    assert read == entry
    assert read.synthetic
    pieces = read_table(Path(read.sources[0]), [read.text, read.label], "t.csv")
    counts = write_reviews(pieces, read.labels, folder / "out.parquet", "t.csv")
    assert counts["rows_per_label"] == facts.classes
    assert len(facts.classes) == len(drawn)
    assert list(counts["rows_per_label"]) == [str(label) for label in order]


def test_a_scale_of_signs_is_proposed_in_its_order_and_read(tmp_path: Path) -> None:
    signs = dict(zip(GRADES, ("++", "0", "-", "--"), strict=True))
    path = write(tickets().replace({"urgency": signs}), tmp_path / "t.csv")
    facts = inspect(path)
    entry = propose(facts, str(path), find_scale(facts.classes, None))
    assert (facts.label, entry.labels) == ("urgency", ["--", "-", 0, "++"])
    catalog = tmp_path / "catalog.yaml"
    catalog.write_bytes((ROOT / "data/catalog.yaml").read_bytes())
    add_entry(catalog, "mine", entry)
    assert load_catalog(catalog).data["mine"] == entry
    chunks = read_table(path, [entry.text, entry.label], "t.csv")
    counts = write_reviews(chunks, entry.labels, tmp_path / "out.parquet", "t.csv")
    assert counts["rows_per_label"] == {"--": 40, "-": 40, "0": 40, "++": 40}


def quoted(names: list[str]) -> str:
    return ",".join('"' + name.replace('"', '""') + '"' for name in names)


def test_labels_are_given_from_lowest_to_highest() -> None:
    assert parse_labels("low, very high,1,1.5") == ["low", "very high", 1, "1.5"]
    assert parse_labels('"no, thanks",yes') == ["no, thanks", "yes"]


def test_given_labels_go_before_a_guess(tmp_path: Path) -> None:
    facts = inspect(write(tickets(), tmp_path / "t.csv"))
    assert entry_of(facts).labels == list(GRADES)
    assert entry_of(facts, "critical,high,medium,low").labels == list(reversed(GRADES))


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        (
            {"low": "urgent"},
            None,
            "order of the labels urgent, medium, high, critical is not known",
        ),
        ({}, "low,medium,high", "column 'urgency' also has 'critical' (40 rows)"),
        (
            {},
            "none,low,medium,high,critical",
            "no row has the label 'none': remove it from --labels",
        ),
        ({}, "low,medium,high,critical,low", "name each label once"),
        ({}, "low,medium,,high,critical", "name each label once"),
        ({"low": "4 stars", "high": "4/10"}, None, "'medium' next to '4 stars': say which label"),
        (
            {"low": "4/5", "medium": "5/5", "high": "3/5", "critical": "4/10"},
            None,
            "'4/5' next to '4/10', which is on another scale: say which label it means with --map",
        ),
        (dict.fromkeys(GRADES, "high"), None, "has only the label high: 2 are needed"),
    ],
)
def test_what_the_pipeline_would_refuse_is_not_proposed(
    changes: dict[str, str], given: str | None, message: str, tmp_path: Path
) -> None:
    table = tickets().replace({"urgency": changes})
    facts = inspect(write(table, tmp_path / "t.csv"), "ticket", "urgency")
    with pytest.raises(UserError) as raised:
        entry_of(facts, given)
    assert message in str(raised.value)


def test_a_sound_file_gets_no_warning_except_that_the_order_is_a_guess(tmp_path: Path) -> None:
    facts = inspect(write(tickets(), tmp_path / "t.csv"))
    [guess] = warnings_about(facts, entry_of(facts), order_given=False)
    assert "The order low < medium < high < critical is a guess from the words" in guess
    assert warnings_about(facts, entry_of(facts), order_given=True) == []


DOOR = "The door 1 of ward low is open"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (tickets(low=29), "Rare labels: 'low' (29)."),
        (tickets(low=400), "Label 'low' has 10 times the rows of 'medium'."),
        (tickets().replace(DOOR, "w " * 381), "Texts of more than 380 words: 1 (0.6%)."),
        (
            tickets().replace(DOOR, "the  DOOR 2 of ward low is open"),
            "repeat the text of an earlier row: 1. With split.method=shuffle",
        ),
        (
            tickets().replace(DOOR, "The door 1 of ward high is open"),
            "Texts with different labels in different rows: 1.",
        ),
        (
            pd.concat([pd.DataFrame({"ticket": ["a", ""], "urgency": ["N/A", "low"]}), tickets()]),
            "a label but no text: 2, the first is row 1 (not counting the header). Labels that "
            "are spelled as missing: 'N/A' (1).",
        ),
        (
            tickets().assign(channel=[*["mail", "phone"] * 80, ""]),
            "The label column 'urgency' is a guess, and 'channel' would fit too.",
        ),
    ],
)
def test_each_weak_point_gets_a_warning(table: pd.DataFrame, message: str, tmp_path: Path) -> None:
    facts = inspect(write(table, tmp_path / "t.csv"))
    entry = entry_of(facts, ",".join(GRADES))
    assert message in " ".join(warnings_about(facts, entry, order_given=True))


def test_numbers_that_leave_gaps_may_be_codes(tmp_path: Path) -> None:
    for last, gaps in (("4", 0), ("99", 1)):
        numbers = dict(zip(GRADES, ("1", "2", "3", last), strict=True))
        facts = inspect(write(tickets().replace({"urgency": numbers}), tmp_path / "t.csv"))
        found = warnings_about(facts, entry_of(facts), order_given=False)
        assert [warning.startswith("The labels 1, 2, 3, 99 have gaps.") for warning in found] == [
            True
        ] * gaps


def test_the_licence_and_the_origin_are_asked_for(tmp_path: Path) -> None:
    facts = inspect(write(tickets(), tmp_path / "t.csv"))
    for stated in ({}, {"licence": "MIT"}, {"origin": "mine"}):
        [warning] = warnings_about(
            facts, propose(facts, "t.csv", Scale(list(GRADES)), **stated), order_given=True
        )
        assert warning.startswith("The licence or the origin of the data is not stated.")
