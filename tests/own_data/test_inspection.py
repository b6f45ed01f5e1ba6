"""A file of one's own: what is seen in it, what is proposed, and what is written."""

import itertools
import json
import math
import os
import pty
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from hypothesis import given, settings
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.files import sha256
from ordinal.common.params import Data
from ordinal.data.reviews import read_table, write_reviews
from ordinal.own_data import inspection
from ordinal.own_data.catalog_entry import add_entry, entry_yaml, name_for
from ordinal.own_data.guess import SCALES, order_of
from ordinal.own_data.inspection import Facts, inspect, parse_labels, propose, worries
from ordinal.sources.catalog import DataSet, load_catalog
from tests.conftest import ROOT, environment, run_in, set_params

GRADES = ("low", "medium", "high", "critical")


def tickets(**changes: int) -> pd.DataFrame:
    """Forty different tickets of each grade, or as many as said; a blank row last."""
    rows = [
        (f"id-{grade}-{number}", f"The door {number} of ward {grade} is open", grade, "mail")
        for grade in GRADES
        for number in range(changes.get(grade, 40))
    ]
    return pd.DataFrame([*rows, ("", "", "", "")], columns=["id", "ticket", "urgency", "channel"])


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def entry_of(facts: Facts, labels: str | None = None) -> DataSet:
    order = parse_labels(labels) if labels else order_of(facts.classes)
    return propose(facts, "data/own/tickets.csv", order, licence="CC0-1.0", origin="a test")


# What is seen


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.tsv", "t.jsonl", "t.parquet"]
)
def test_every_kind_of_file_gives_the_same_facts(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    table = tickets(critical=39)
    if name.endswith("jsonl"):
        table.to_json(path, orient="records", lines=True)
    elif name.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    facts = inspect(path)
    assert (facts.text, facts.label, facts.alternatives) == ("ticket", "urgency", ())
    assert facts.classes == {"low": 40, "medium": 40, "high": 40, "critical": 39}
    assert (facts.rows, facts.blank, facts.incomplete) == (159, 1, 0)
    assert facts.words == (8, 8, 8, 8)
    assert facts.sha256 == sha256(path)


cells = st.sampled_from(["", " ", "a", "A ", "a  a", "b\nc", "ß", "SS", "e " * 380, "f " * 381])


@given(st.lists(st.tuples(cells, st.sampled_from(["", "  ", "1", "1.0", "2", "x"])), min_size=1))
def test_counts_are_those_of_a_plain_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "counts.csv"
    write(pd.DataFrame(rows, columns=["t", "l"]), path)
    whole = [
        (text, "1" if label == "1.0" else label)
        for text, label in rows
        if text.strip() and label.strip()
    ]
    if not whole:
        with pytest.raises(UserError, match="no row has both"):
            inspect(path, "t", "l")
        return
    facts = inspect(path, "t", "l")
    assert facts.rows == len(whole)
    assert facts.classes == Counter(label for _, label in whole)
    assert facts.blank == sum(not text.strip() and not label.strip() for text, label in rows)
    assert facts.incomplete == len(rows) - facts.blank - len(whole)
    half = [bool(text.strip()) != bool(label.strip()) for text, label in rows]
    assert facts.first_incomplete == (half.index(True) + 1 if any(half) else 0)
    lengths = sorted(len(text.split()) for text, _ in whole)
    assert facts.words[3] == lengths[-1]
    assert facts.words[1] in lengths
    assert facts.long == sum(length > 380 for length in lengths)
    labels_of: dict[str, set[str]] = {}
    for text, label in whole:
        labels_of.setdefault(" ".join(text.casefold().split()), set()).add(label)
    assert facts.repeats == len(whole) - len(labels_of)
    assert facts.contradictions == sum(len(labels) > 1 for labels in labels_of.values())


def test_percentiles_are_those_of_numpy(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).integers(1, 400, size=997)
    table = pd.DataFrame({"t": ["w " * length for length in lengths], "l": "1"})
    facts = inspect(write(table, tmp_path / "t.csv"), "t", "l")
    expected = np.percentile(lengths, [5, 50, 95, 100])
    np.testing.assert_allclose(facts.words, expected, atol=1)
    assert facts.words[3] == lengths.max()


def test_pieces_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(pd.concat([tickets(), tickets()]), tmp_path / "t.csv")
    whole = inspect(path, "ticket", "urgency")
    assert whole.repeats == 160
    monkeypatch.setattr("ordinal.data.tables.PIECE", 7)
    assert inspect(path, "ticket", "urgency") == whole


# What is guessed


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
        with pytest.raises(UserError, match="no column has 2 to 20 different values"):
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
    rows = [{"class": [n % 2], "body": f"text {n}", "stars": n % 3} for n in range(9)]
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
        ("", {}, "can't be read as csv: it is empty"),
        ("body,stars\n", {}, "no column holds text: name one with --text"),
        ("body,stars\n", {"text": "body", "label": "stars"}, "no row has both a text"),
        ("a,b\nx,1\nyy,2\n", {"label": "b"}, None),
        ("a,b\nx,1\n", {"text": "c"}, "no column 'c'; it has 'a', 'b'"),
        ("a,b\nx,1\n", {"label": "c"}, "no column 'c'; it has 'a', 'b'"),
        ("a,b\nx,1\n", {"text": "b", "label": "b"}, "can't be both the text and the label"),
        (
            "a,b\nx\0,1\n",
            {"text": "a", "label": "b"},
            "row 1 (the header not counted): column 'a' ",
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
    monkeypatch.setattr(inspection, "MAX_CLASSES", 39)
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


# What is proposed

ODD = ["no", "yes", "null", "1.5", "-3", "1e3", "2024-01-01", "a: b", "# x", "[", "~", 'a"b', "a,b"]
label_names = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8),
    st.sampled_from(ODD),
    st.integers(-99, 99).map(str),
).filter(lambda name: name == name.strip() != "")


def plain(name: str) -> object:
    """What two labels may not share."""
    try:
        return float(name) if math.isfinite(float(name)) else name.casefold()
    except ValueError:
        return " ".join(name.casefold().split())


@settings(max_examples=50)
@given(st.lists(label_names, min_size=2, max_size=6, unique_by=plain))
def test_any_proposed_entry_loads_and_the_pipeline_reads_the_file_by_it(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("entry")
    texts = [f"text {number}" for number in range(len(drawn))]
    path = write(pd.DataFrame({"body, long": texts, "y": drawn}), folder / "t.csv")
    facts = inspect(path, "body, long", "y")
    order = order_of(facts.classes) or parse_labels(quoted(sorted(facts.classes)))
    entry = propose(facts, str(path), order, origin="made: up # here", synthetic=True)
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
        ({}, "none,low,medium,high,critical", "no row has the label 'none': leave it out"),
        ({}, "low,medium,high,critical,low", "name each label once"),
        ({}, "low,medium,,high,critical", "name each label once"),
        ({"low": "Medium"}, None, "has 'Medium' and 'medium': make them one spelling"),
        (
            {"low": "1", "medium": "01.50", "high": "1.5", "critical": "2"},
            None,
            "'01.50' and '1.5'",
        ),
        (dict.fromkeys(GRADES, "high"), None, "has one label, high: 2 are needed"),
        ({"low": "=1+1"}, "=1+1,medium,high,critical", "label '=1+1' would be a formula"),
        ({"low": ""}, None, "a label but no text: 40, the first of them row 1 ("),
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


# What to worry about


def test_of_a_sound_file_nothing_is_said_but_that_the_order_is_a_guess(tmp_path: Path) -> None:
    facts = inspect(write(tickets(), tmp_path / "t.csv"))
    [guess] = worries(facts, entry_of(facts), order_given=False)
    assert "The order low < medium < high < critical is taken from the words" in guess
    assert worries(facts, entry_of(facts), order_given=True) == []


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
            "Texts that stand with different labels: 1.",
        ),
        (
            tickets().assign(channel=[*["mail", "phone"] * 80, ""]),
            "Column 'urgency' is taken for the label, but 'channel' would do too",
        ),
    ],
)
def test_each_worry_is_said(table: pd.DataFrame, message: str, tmp_path: Path) -> None:
    facts = inspect(write(table, tmp_path / "t.csv"))
    entry = entry_of(facts, ",".join(GRADES))
    assert message in " ".join(worries(facts, entry, order_given=True))


def test_numbers_that_leave_gaps_may_be_codes(tmp_path: Path) -> None:
    for last, gaps in (("4", 0), ("99", 1)):
        numbers = dict(zip(GRADES, ("1", "2", "3", last), strict=True))
        facts = inspect(write(tickets().replace({"urgency": numbers}), tmp_path / "t.csv"))
        found = worries(facts, entry_of(facts), order_given=False)
        assert [worry.startswith("The numbers 1, 2, 3, 99 leave gaps.") for worry in found] == [
            True
        ] * gaps


def test_the_licence_and_the_origin_are_asked_for(tmp_path: Path) -> None:
    facts = inspect(write(tickets(), tmp_path / "t.csv"))
    for stated in ({}, {"licence": "MIT"}, {"origin": "mine"}):
        [worry] = worries(facts, propose(facts, "t.csv", GRADES, **stated), order_given=True)
        assert worry.startswith("Licence and origin are not both stated.")


# What is written

ENTRY = DataSet(
    sources=["data/own/t.csv"],
    checksum=f"sha256:{'0' * 64}",
    text="t",
    label="l",
    labels=[1, "no"],
    licence="MIT",
    origin="é " * 60 + "é",
)
SMALL = """\
# All
data:  # sets
    one:
        sources: [builtin]
        text: t
        label: l  # the label
        licence: MIT
        {end}
    # no more
{after}"""


@pytest.mark.parametrize(
    "end",
    [
        "labels: [1, 2]\n        origin: x",
        "labels: [1, 2]\n        origin: 'x'  # of x",
        "labels: [1, 2]\n        origin: a\n          b",
        "labels: [1, 2]\n        origin: |\n          a\n          b",
        "origin: x\n        labels:\n        - 1\n        - 2",
        "origin: x\n        labels: [\n          1,\n          2,\n        ]",
    ],
)
@pytest.mark.parametrize("after", ["", "\n# The encoders\nencoders: {}\n"])
def test_all_else_in_the_catalog_stays_as_it_is(end: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    before = SMALL.format(end=end, after=after) + ("" if after else "encoders: {}")
    path.write_text(before)
    add_entry(path, "mine", ENTRY)
    added = "".join(f"    {line}\n" for line in entry_yaml("mine", ENTRY).splitlines())
    start = before.index("    # no more")
    assert path.read_text() == before[:start] + added + before[start:]
    assert load_catalog(path).data["mine"] == ENTRY


def test_an_entry_goes_to_the_end_of_a_section_that_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    data, encoders = (ROOT / "data/catalog.yaml").read_text().split("\nencoders:")
    path.write_text(f"encoders:{encoders}{data.rstrip()}")
    add_entry(path, "mine", ENTRY)
    assert list(load_catalog(path).data)[-1] == "mine"


def test_an_entry_is_written_as_the_others_are() -> None:
    assert entry_yaml("mine", ENTRY) == (
        f"mine:\n  sources: [data/own/t.csv]\n  checksum: sha256:{'0' * 64}\n"
        f"  text: t\n  label: l\n  labels: [1, 'no']\n  licence: MIT\n  origin: {ENTRY.origin}\n"
    )


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("data: {}\nencoders: {}\n", "mine", "add this one by hand"),
        ("encoders: {}\n", "mine", "data: Field required"),
        (None, "demo", "already has 'demo': give another name with --name"),
        (None, "on", "--name on: use a letter, then letters, digits, - and _"),
        (None, "a b", "--name a b: use"),
        (None, "1st", "--name 1st: use"),
    ],
)
def test_a_catalog_that_can_not_take_the_entry_is_left_alone(
    content: str | None, name: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.yaml"
    before = content or (ROOT / "data/catalog.yaml").read_text()
    path.write_text(before)
    with pytest.raises(UserError) as raised:
        add_entry(path, name, ENTRY)
    assert message in str(raised.value)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1))
def test_any_files_name_gives_one_that_survives_dvcs_command_line(
    tmp_path_factory: pytest.TempPathFactory, stem: str
) -> None:
    name = name_for(Path(f"{stem}.csv"))
    project = tmp_path_factory.mktemp("params")
    (project / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    apply_overrides(project / "params.yaml", [f"data.name={name}"])
    assert Data.load(project / "params.yaml").name == name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tickets.csv.gz", "tickets"),
        ("Meine Bewertungen (März).v2.jsonl", "meine-bewertungen-marz-v2"),
        ("2024-01-01.parquet", "data-2024-01-01"),
        ("yes.csv", "data-yes"),
        ("nan.tsv", "data-nan"),
        ("评论.csv", "data"),
    ],
)
def test_the_entry_is_named_after_the_file(file: str, name: str) -> None:
    assert name_for(Path(file)) == name


# The command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The parts of a project that the command reads."""
    (tmp_path / "data/own").mkdir(parents=True)
    (tmp_path / "data/catalog.yaml").write_bytes((ROOT / "data/catalog.yaml").read_bytes())
    write(tickets(), tmp_path / "data/own/tickets.csv")
    return tmp_path


COMMAND = ("ordinal", "new-data", "data/own/tickets.csv")


def test_without_a_terminal_it_shows_and_does_not_write(folder: Path) -> None:
    before = (folder / "data/catalog.yaml").read_bytes()
    run = run_in(folder, *COMMAND)
    assert run.returncode == 0, run.stderr
    assert run.stderr == "Not written: no terminal to ask at. To write it, add --yes.\n"
    assert (folder / "data/catalog.yaml").read_bytes() == before
    shown = yaml.safe_load(run.stdout.split("For data/catalog.yaml:")[1])
    assert DataSet.model_validate(shown["tickets"]).labels == list(GRADES)
    table = [line.split() for line in run.stdout.splitlines() if line.startswith("│")]
    assert [row[1] for row in table] == list(GRADES)
    assert {row[3] for row in table} == {"40"}


def test_yes_writes_an_entry_by_which_the_file_is_read(project: Path) -> None:
    write(tickets(), project / "data/own/tickets.csv")
    stated = ("--licence", "CC0-1.0", "--origin", "a test", "--synthetic")
    command = (*COMMAND, *stated, "--name", "mine", "--yes")
    run = run_in(project, *command)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith("Written. To train on it: dvc exp run -S data.name=mine\n")
    set_params(project, {"data.name": "mine"})
    download = run_in(project, "python", "-m", "stages.download")
    assert download.returncode == 0, download.stderr
    facts = json.loads((project / "data/raw/facts.json").read_text())
    assert facts["labels"] == list(GRADES)
    assert facts["synthetic"] is True
    assert facts["dropped"] == {"blank rows": 1}
    assert pq.read_table(project / "data/raw/reviews.parquet").num_rows == 160
    again = run_in(project, *command)
    assert again.returncode == 1
    assert "data/catalog.yaml already has 'mine'" in again.stderr


@pytest.mark.parametrize(("answer", "written"), [("y", True), ("n", False), ("", False)])
def test_on_a_terminal_it_asks_before_it_writes(answer: str, written: bool, folder: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    run = subprocess.run(
        COMMAND,
        cwd=folder,
        env=environment(),
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(ours)
    os.close(theirs)
    assert run.returncode == 0, run.stderr
    assert "Add it to data/catalog.yaml?" in run.stdout
    assert ("tickets" in load_catalog(folder / "data/catalog.yaml").data) is written


def test_a_file_that_lies_elsewhere_is_to_be_copied_to_where_dvc_watches(folder: Path) -> None:
    inside = run_in(folder, *COMMAND)
    assert "where DVC watches it" not in inside.stdout
    (folder / "my data").mkdir()
    (folder / "data/own/tickets.csv").rename(folder / "my data/tickets.csv")
    run = run_in(folder, "ordinal", "new-data", "my data/tickets.csv", "--yes")
    assert run.returncode == 0, run.stderr
    assert "  cp 'my data/tickets.csv' data/own/\n" in run.stdout
    entry = load_catalog(folder / "data/catalog.yaml").data["tickets"]
    assert entry.sources == ["data/own/tickets.csv"]
    assert entry.checksum == f"sha256:{sha256(folder / 'my data/tickets.csv')}"


def test_a_file_in_a_folder_of_data_own_is_named_with_its_folder(folder: Path) -> None:
    (folder / "data/own/2024").mkdir()
    (folder / "data/own/tickets.csv").rename(folder / "data/own/2024/tickets.csv")
    path = folder / "data/own/2024/tickets.csv"  # absolute: the entry is not
    run = run_in(folder, "ordinal", "new-data", str(path), "--yes")
    assert run.returncode == 0, run.stderr
    assert load_catalog(folder / "data/catalog.yaml").data["tickets"].sources == [
        "data/own/2024/tickets.csv"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.csv",), "nowhere.csv: No such file or directory"),
        (("data/own/tickets.csv", "--labels", "low,high"), "also has 'medium' (40 rows)"),
        (("data/own/tickets.csv", "--name", "demo"), "already has 'demo'"),
        (("data/own/tickets.xlsx",), "not a kind of file that is read"),
    ],
)
def test_a_mistake_gets_one_clear_sentence_and_nothing_is_written(
    arguments: tuple[str, ...], message: str, folder: Path
) -> None:
    before = (folder / "data/catalog.yaml").read_bytes()
    run = run_in(folder, "ordinal", "new-data", *arguments, "--yes")
    assert run.returncode == 1
    assert message in run.stderr
    assert run.stderr.startswith("error: ")
    assert run.stderr.count("\n") == 1
    assert (folder / "data/catalog.yaml").read_bytes() == before


def test_elsewhere_than_in_the_projects_root_it_says_so(folder: Path) -> None:
    run = run_in(folder / "data", "ordinal", "new-data", "own/tickets.csv")
    assert run.returncode == 1
    assert run.stderr == ("error: data/catalog.yaml is missing: run this from the project's root\n")


def test_a_label_that_looks_like_markup_is_shown_as_it_is(folder: Path) -> None:
    table = tickets().replace({"urgency": {"low": "[red]low[/]"}})
    path = write(table, folder / "data/own/marked.csv")
    labels = "[red]low[/],medium,high,critical"
    run = run_in(folder, "ordinal", "new-data", str(path), "--labels", labels)
    assert run.returncode == 0, run.stderr
    assert "│ [red]low[/] │   40 │ 25.0% │" in run.stdout


def test_it_does_not_wait_for_torch(folder: Path) -> None:
    code = (
        "import sys; from ordinal.cli import app; "
        "app(['new-data', 'data/own/tickets.csv'], standalone_mode=False); "
        "assert not {'torch', 'transformers', 'datasets', 'dvc'} & sys.modules.keys()"
    )
    run = run_in(folder, sys.executable, "-c", code)
    assert run.returncode == 0, run.stderr
