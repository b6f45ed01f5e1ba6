"""The command `ordinal new-data`."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from ordinal.common.files import sha256
from ordinal.common.formats import Format
from ordinal.sources.catalog import DataSet, load_catalog
from tests.conftest import ROOT, environment, run_in, set_params
from tests.own_data.tickets import GRADES, tickets, write


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
    assert run.stderr == "Not written: there is no terminal to ask. Write it with --yes.\n"
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
    assert run.stdout.endswith(
        "Written. To train on it: dvc exp run -S data.name=mine -S 'data.keep=[id]'\n"
    )
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


def test_a_file_outside_of_data_own_has_to_be_copied_there(folder: Path) -> None:
    inside = run_in(folder, *COMMAND)
    assert "which DVC tracks" not in inside.stdout
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
        (("data/own",), "data/own is a folder: name a file in it, such as data/own/tickets.csv"),
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


def test_outside_of_the_projects_root_it_says_so(folder: Path) -> None:
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


def test_labels_that_look_like_options_can_be_given(folder: Path) -> None:
    signs = dict(zip(GRADES, ("--", "-", "+", "++"), strict=True))
    write(tickets().replace({"urgency": signs}), folder / "data/own/tickets.csv")
    run = run_in(folder, *COMMAND, "--labels", "--,-,+,++", "--yes")
    assert run.returncode == 0, run.stderr
    entry = load_catalog(folder / "data/catalog.yaml").data["tickets"]
    assert entry.labels == ["--", "-", "+", "++"]


def test_it_does_not_wait_for_torch(folder: Path) -> None:
    code = (
        "import sys; from ordinal.cli import app; "
        "app(['new-data', 'data/own/tickets.csv'], standalone_mode=False); "
        "assert not {'torch', 'transformers', 'datasets', 'dvc'} & sys.modules.keys()"
    )
    run = run_in(folder, sys.executable, "-c", code)
    assert run.returncode == 0, run.stderr


HEADERLESS = '"5","the bar was lovely"\n"1","the pool was awful"\n"5","the bed was soft"\n' * 12


def test_a_table_without_a_header_is_added_with_columns_by_number(project: Path) -> None:
    (project / "data/own/yelp.csv").write_text(HEADERLESS)
    command = ("ordinal", "new-data", "data/own/yelp.csv", "--yes")
    run = run_in(project, *command)
    assert run.returncode == 1
    assert "the first row looks like data" in run.stderr
    assert "--header none" in run.stderr
    run = run_in(project, *command, "--header", "none")
    assert run.returncode == 0, run.stderr
    entry = load_catalog(project / "data/catalog.yaml").data["yelp"]
    assert (entry.text, entry.label, entry.labels) == ("2", "1", [1, 5])
    assert entry.format.header == "none"
    set_params(project, {"data.name": "yelp"})
    download = run_in(project, "python", "-m", "stages.download")
    assert download.returncode == 0, download.stderr
    facts = json.loads((project / "data/raw/facts.json").read_text())
    assert facts["rows_per_label"] == {"1": 12, "5": 24}
    assert facts["format"]["header"] == "none"

    number_columns = {"data.name": "data/own/yelp.csv", "data.text": 2, "data.label": 1}
    set_params(project, number_columns)
    download = run_in(project, "python", "-m", "stages.download")
    assert download.returncode == 0, download.stderr
    assert json.loads((project / "data/raw/facts.json").read_text())["rows"] == 36


def test_what_was_found_is_shown_and_recorded(project: Path) -> None:
    rows = "".join(f"der Raum {number} war schön;{number % 3 + 1}\n" for number in range(90))
    content = f"Umfrage 2024\n\n bewertung ;note\n{rows}ohne Note;N/A\n"
    (project / "data/own/umfrage.csv").write_bytes(content.encode("cp1252"))
    command = ("ordinal", "new-data", "data/own/umfrage.csv", "--yes")
    run = run_in(project, *command)
    assert run.returncode == 1
    assert "--format encoding=cp1252" in run.stderr
    run = run_in(project, *command, "--format", "encoding=cp1252")
    assert run.returncode == 0, run.stderr
    found = "{kind: csv, encoding: cp1252, separator: semicolon, quoting: standard, skip: 2}"
    assert f"format: {found}\n" in run.stdout
    assert Format(**yaml.safe_load(found)).separator == ";"
    assert "lines skipped before the header: 2" in run.stdout
    assert "column names stripped of spaces: 1" in run.stdout
    assert "missing: 'N/A' (1)." in run.stdout
    assert run.stdout.endswith("dvc exp run -S data.name=umfrage -S data.missing=drop\n")

    set_params(project, {"data.name": "umfrage"})
    download = run_in(project, "python", "-m", "stages.download")
    assert download.returncode == 1
    assert "row 91 (not counting the header)" in download.stderr
    set_params(project, {"data.name": "umfrage", "data.missing": "drop"})
    download = run_in(project, "python", "-m", "stages.download")
    assert download.returncode == 0, download.stderr
    assert "download: lines skipped before the header: 2" in download.stdout
    facts = json.loads((project / "data/raw/facts.json").read_text())
    assert facts["rows"] == 90
    assert facts["dropped"]["rows without a label"] == 1
    assert facts["repairs"] == {
        "lines skipped before the header": 2,
        "column names stripped of spaces": 1,
    }
    assert facts["format"] == {
        "kind": "csv",
        "compression": "none",
        "encoding": "cp1252",
        "separator": ";",
        "quoting": "standard",
        "header": "first",
        "skip": 2,
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("encoding", "--format: encoding: '' is not an encoding"),
        ("quotes=none", "--format: quotes is not a known key"),
        ("skip=many", "--format: skip is 'many': it must be a whole number"),
    ],
)
def test_a_wrong_format_is_refused(option: str, message: str, folder: Path) -> None:
    run = run_in(folder, *COMMAND, "--format", option)
    assert run.returncode == 1
    assert message in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_folder_as_data_name_is_refused(project: Path) -> None:
    set_params(project, {"data.name": "data/own", "data.text": "a", "data.label": "b"})
    download = run_in(project, "python", "-m", "stages.download")
    assert download.returncode == 1
    assert "data/own is a folder: name a file in it" in download.stderr
