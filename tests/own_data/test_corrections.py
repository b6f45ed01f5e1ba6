"""`ordinal audit --apply`: a corrected copy in the catalog, and tables that are refused."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from ordinal.common.errors import UserError
from ordinal.common.files import sha256
from ordinal.data.spreadsheets import escape_table
from ordinal.own_data.corrections import apply_corrections
from ordinal.sources.catalog import load_catalog
from stages import download
from tests.conftest import ROOT, run_in, set_params

ENTRY = """\
  tickets:
    sources: [data/own/tickets.csv]
    allow_unpinned: true
    text: [title, body]
    label: urgency
    labels: [low, medium, high]
    map: {very high: high}
    synthetic: true
    licence: CC0
    origin: tickets of a test
"""
COPY = Path("data/own/tickets-corrected.parquet")
TICKETS = pd.DataFrame(
    {
        "id": [11, 12, 13, 14],
        "title": ["=1+1", "b", "c", ""],
        "body": ["two  lines\r\nof text", "bb", "cc", "a single text"],
        "urgency": ["low", "medium", "very high", "low"],
    }
)


@pytest.fixture
def tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a catalog entry `tickets` and its data/raw."""
    (tmp_path / "data/own").mkdir(parents=True)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    catalog = (ROOT / "data/catalog.yaml").read_text(encoding="utf-8")
    catalog = catalog.replace("data:\n", f"data:\n{ENTRY}", 1)
    (tmp_path / "data/catalog.yaml").write_text(catalog, encoding="utf-8")
    TICKETS.to_csv(tmp_path / "data/own/tickets.csv", index=False)
    monkeypatch.chdir(tmp_path)
    set_params(tmp_path, {"data.name": "tickets", "data.keep": ["id"], "split.method": "hash"})
    download.main()
    return tmp_path


def labels_table(corrections: dict[int, str], **others: list[object]) -> pd.DataFrame:
    """The table of an audit, with corrections by row."""
    raw = pd.read_parquet("data/raw/reviews.parquet")
    rows = pd.Series([2, 0, 3, 1])
    table = raw.loc[rows, ["id", "text"]].reset_index(drop=True)
    table.insert(0, "row", rows)
    table["correction"] = [corrections.get(row, "") for row in rows]
    return table.assign(**others)


def write(table: pd.DataFrame, name: str = "labels.csv") -> Path:
    path = Path(name)
    if path.suffix == ".xlsx":
        escape_table(table).to_excel(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        escape_table(table).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["labels.csv", "labels.xlsx", "labels.parquet"])
def test_a_copy_has_the_corrected_labels_and_all_else_of_the_original(
    name: str, tickets: Path
) -> None:
    before = pd.read_parquet("data/raw/reviews.parquet")
    copy = apply_corrections(
        write(labels_table({0: "high", 2: "high", 3: "medium", 1: " low "}), name)
    )
    assert (copy.name, copy.count) == ("tickets-corrected", 3)
    table = pd.read_parquet(copy.path)
    assert list(table) == ["text", "label", "id"]
    assert table["label"].to_list() == ["high", "low", "high", "medium"]
    pd.testing.assert_frame_equal(table[["text", "id"]], before[["text", "id"]])

    entries = load_catalog(Path("data/catalog.yaml")).data
    assert entries["tickets"].origin == "tickets of a test"
    entry = entries["tickets-corrected"]
    assert entry.checksum == f"sha256:{sha256(copy.path)}"
    assert entry.origin == "tickets of a test; 3 labels of tickets corrected by hand"
    assert (entry.licence, entry.synthetic, entry.map) == ("CC0", True, None)
    assert entry.labels == ["low", "medium", "high"]
    assert copy.command == "dvc exp run -S data.name=tickets-corrected"

    # The pipeline reads the copy.
    set_params(tickets, {"data.name": "tickets-corrected"})
    download.main()
    after = pd.read_parquet("data/raw/reviews.parquet")
    assert after["label"].to_list() == [2, 0, 2, 1]
    pd.testing.assert_frame_equal(after[["text", "id"]], before[["text", "id"]])


def test_the_copy_of_a_file_without_an_entry_has_the_facts_of_data_raw(tickets: Path) -> None:
    TICKETS.assign(urgency=[1, 2, 1, 2]).to_csv("data/own/My file.csv", index=False)
    file = {"data.name": "data/own/My file.csv", "data.text": "body", "data.label": "urgency"}
    set_params(tickets, file)
    download.main()
    copy = apply_corrections(write(labels_table({0: "2.0"})))
    entry = load_catalog(Path("data/catalog.yaml")).data["my-file-corrected"]
    assert entry.labels == [1, 2]
    assert entry.origin == "a file of the user's own; 1 label of My file.csv corrected by hand"
    assert pq.read_table(copy.path)["label"].to_pylist() == ["2", "2", "1", "2"]


def test_the_command_says_what_it_wrote_and_how_to_train(tickets: Path) -> None:
    write(labels_table({3: "medium"}))
    run = run_in(tickets, "ordinal", "audit", "--apply", "labels.csv", "--name", "better")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "1 label corrected: data/own/better.parquet, entry better of data/catalog.yaml",
        "To train on it: dvc exp run -S data.name=better",
    ]
    again = run_in(tickets, "ordinal", "audit", "--apply", "labels.csv", "--name", "better")
    assert again.returncode == 1
    assert "data/catalog.yaml already has 'better'" in again.stderr


def stale() -> Path:
    return write(labels_table({1: "low"}, text=["c\ncc", "x", "y", "z"]))


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "unknown label": (
        lambda: write(labels_table({0: "urgent"})),
        "labels.csv, row 2 (not counting the header): column 'correction' is 'urgent': it must be "
        "one of the labels low, medium, high",
    ),
    "word for a missing label": (
        lambda: write(labels_table({0: "N/A"})),
        "column 'correction' is 'N/A': it must be one of the labels",
    ),
    "no such row": (
        lambda: write(labels_table({3: "high"}, row=[2, 0, 9, 1], correction=["", "", "low", ""])),
        "labels.csv, row 3 (not counting the header): the data has no row 9: its rows are 0 to 3",
    ),
    "row is no number": (
        lambda: write(labels_table({0: "high"}, row=["2", "0", "-1", "1"])),
        "row 3 (not counting the header): column 'row' is '-1': it must be a whole number",
    ),
    "stale": (
        stale,
        "labels.csv, row 4 (not counting the header): column 'text' is not the text of row 1 of "
        "data/raw/reviews.parquet: the data has changed since, so run `ordinal audit` again",
    ),
    "missing column": (
        lambda: write(labels_table({0: "low"}).drop(columns="correction")),
        "labels.csv: no column 'correction'; it has 'row', 'id', 'text'",
    ),
    "nothing filled": (
        lambda: write(labels_table({})),
        "labels.csv: no row has a correction: fill the column 'correction'",
    ),
    "nothing changed": (
        lambda: write(labels_table({0: "low"})),
        "labels.csv: every correction is the label that the row already has",
    ),
    "no row left": (
        lambda: write(labels_table({1: "low"})),
        "after the corrections no row has the label medium: the pipeline needs each label",
    ),
    "row twice": (
        lambda: write(labels_table({0: "low"}, row=[2, 0, 2, 1])),
        "labels.csv, row 3 (not counting the header): row 2 is there a second time, after "
        "labels.csv, row 1",
    ),
    "no file": (lambda: None, "labels.csv is not a file: name the table with the corrections"),
    "file of the copy": (
        lambda: (write(labels_table({0: "high"})), COPY.touch()),
        "data/own/tickets-corrected.parquet already exists: choose another name with --name",
    ),
    "other data": (
        lambda: (write(labels_table({0: "high"})), set_params(Path(), {"data.name": "demo"})),
        "data/raw/facts.json is of tickets, but data.name is demo: run `dvc repro download`",
    ),
    "no data": (
        lambda: (write(labels_table({0: "high"})), Path("data/raw/facts.json").unlink()),
        "data/raw/facts.json is missing: run `dvc repro download` first",
    ),
    "catalog without a place": (
        lambda: (write(labels_table({0: "high"})), squeeze_catalog()),
        "add the entry by hand",
    ),
}


def squeeze_catalog() -> None:
    """Write the catalog in a layout that has no place for another entry."""
    path = Path("data/catalog.yaml")
    entry = load_catalog(path).data["tickets"].model_dump_json(exclude_defaults=True)
    path.write_text(f'{{"data": {{"tickets": {entry}}}, "encoders": {{}}}}')


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_a_sentence_and_writes_nothing(mistake: str, tickets: Path) -> None:
    make, message = MISTAKES[mistake]
    make()
    catalog = Path("data/catalog.yaml").read_bytes()
    files = sorted(Path("data/own").iterdir())
    with pytest.raises(UserError) as refused:
        apply_corrections(Path("labels.csv"))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert Path("data/catalog.yaml").read_bytes() == catalog
    assert sorted(Path("data/own").iterdir()) == files
