"""Walk through docs/own-data.md: every command runs, and the page shows its real output."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.evaluation.predictions import refuse_other_rows
from ordinal.experiments.queue import _refuse_changes
from ordinal.own_data.catalog_entry import add_entry, refuse_name
from ordinal.own_data.inspection import inspect
from ordinal.own_data.label_scale import find_scale
from ordinal.own_data.proposal import propose
from ordinal.sources.catalog import load_catalog
from ordinal.tokenization.tokenizer import load_tokenizer
from stages import download, split
from tests.conftest import ROOT, console_commands, run_as_shown, run_in, set_params, stages_run

PAGE = "docs/own-data.md"
REFERENCE = "docs/data-reference.md"
CATALOG = Path("data/catalog.yaml")
TICKETS = Path("data/own/tickets.csv")


@pytest.mark.slow
def test_every_command_runs_and_shows_what_the_page_says(small_project: Path) -> None:
    shown = {}
    # tests/experiments/test_audit.py runs the audit.
    commands = [line for line in console_commands(PAGE) if not line.startswith("ordinal audit")]
    export = next(place for place, command in enumerate(commands) if "export.csv" in command)
    for command in commands[:export]:
        shown[command] = run_as_shown(small_project, command)
        if command == "ordinal compare HEAD":
            trained = (small_project / "params.yaml").read_text()
    text = (ROOT / PAGE).read_text(encoding="utf-8")

    [written] = [output for command, output in shown.items() if "new-data" in command]
    [start, end] = re.findall(
        r"^```\n(data/own/tickets.csv: .*?|For data/catalog.yaml:.*?)^```\n", text, re.S | re.M
    )
    assert written.startswith(start)
    assert written.endswith(end)
    [first] = [output for command, output in shown.items() if "data.name" in command]
    assert len(stages_run(first)) == 8
    assert "up to date" in shown["dvc repro"]
    assert "class_weights: balanced" in trained
    assert "class_weights: none" in (small_project / "params.yaml").read_text()

    def read(file: str) -> dict[str, object]:
        return json.loads((small_project / file).read_text())

    assert read("metrics/details.json")["data"] == {
        "name": "tickets",
        "synthetic": True,
        "rows": 1000,
    }
    assert read("metrics/split.json")["duplicates_of_earlier_parts"] == {"validation": 0, "test": 0}
    model = read("models/ordinal/config.json")["ordinal"]
    assert model["labels"] == ["low", "medium", "high", "critical"]
    card = (small_project / "models/ordinal/README.md").read_text()
    assert "support tickets, made up by docs/own-data.md" in card
    assert "licence: MIT" in card

    [few] = [output for command, output in shown.items() if "typo on my profile" in command]
    assert few.startswith("row,label,low,high,p_low,p_medium,p_high,p_critical\n1,")
    assert len(few.splitlines()) == 3
    urgencies = pd.read_csv(small_project.parent / "urgencies.csv")
    assert len(urgencies) == 1000
    assert set(urgencies["label"]) <= set(model["labels"])

    # Everything is committed or in the remote: a clone has the same files.
    assert run_in(small_project, "git", "status", "--porcelain").stdout == ""
    clone = small_project.parent / "clone"
    run_as_shown(small_project.parent, "git clone --quiet project clone")
    run_as_shown(clone, "dvc pull")
    assert "up to date" in run_as_shown(clone, "dvc repro")
    weights = "models/ordinal/model.safetensors"
    assert (clone / weights).read_bytes() == (small_project / weights).read_bytes()

    make, propose, train, predict, abstain, watch = commands[export:]
    run_as_shown(small_project, make)
    assert run_as_shown(small_project, propose).endswith(f"To train on it: {train}\n")
    assert len(stages_run(run_as_shown(small_project, train))) == 8  # the catalog has changed
    facts = read("data/raw/facts.json")
    assert (facts["rows"], facts["labels"]) == (950, ["1", "2", "3", "4"])
    assert facts["repairs"].keys() == {"labels read from N/4", "labels read from N stars"}
    assert facts["dropped"]["rows without a label"] == 50
    run_as_shown(small_project, predict)
    ratings = pd.read_csv(small_project.parent / "ratings.csv")
    assert set(ratings["label"]) <= {1, 2, 3, 4}
    assert {"customer", "stars"} <= set(ratings)
    run_as_shown(small_project, abstain)
    sure = pd.read_csv(small_project.parent / "sure.csv")
    is_wide = ratings["high"] - ratings["low"] + 1 > 2
    assert (sure["label"].isna() == is_wide).all()
    tickets = pd.read_csv(small_project / "data/own/export.csv", sep=";", encoding="cp1252")
    tickets.sample(100, random_state=1).to_csv(small_project / "data/own/new.csv", index=False)
    assert "mean absolute error" in run_as_shown(small_project, watch)
    assert (small_project.parent / "drift.html").is_file()


def test_the_reference_describes_a_file_without_a_header(small_project: Path) -> None:
    run_as_shown(small_project, console_commands(PAGE)[0])
    shown = [run_as_shown(small_project, command) for command in console_commands(REFERENCE)]
    [entry] = [output for output in shown if "For data/catalog.yaml" in output]
    fields = re.search(r"^  (format: .*)$", entry, re.M)[1]
    assert f"`{fields}`" in (ROOT / REFERENCE).read_text(encoding="utf-8")
    assert not (small_project / "data/own/untitled.csv").exists()


# Error messages


def own_file(rows: str) -> Path:
    TICKETS.write_text(f"ticket,urgency\n{rows}")
    return TICKETS


def listed(rows: str) -> None:
    """A file of tickets, in the catalog as `tickets`."""
    facts = inspect(own_file(rows), "ticket", "urgency")
    add_entry(CATALOG, "tickets", propose(facts, str(TICKETS), find_scale(facts.classes, None)))
    set_params(Path(), {"data.name": "tickets"})


def the_order_is_unknown() -> None:
    facts = inspect(own_file("a,bronze\nb,gold\n"), "ticket", "urgency")
    propose(facts, str(TICKETS), find_scale(facts.classes, None))


def a_text_has_no_label() -> None:
    listed("a,low\nb,\nc,high\n")
    download.main()


def a_column_is_called_otherwise() -> None:
    inspect(own_file("a,low\n"), "text", "urgency")


def the_name_is_taken() -> None:
    listed("a,low\nb,high\n")
    refuse_name("tickets", CATALOG)


def the_file_has_changed() -> None:
    listed("a,low\nb,high\n")
    own_file("a,low\nb,high\nc,high\n")
    download.main()


def a_label_is_new() -> None:
    listed("a,low\nb,medium\nc,high\nd,critical\n")
    entry = load_catalog(CATALOG).data["tickets"]
    own_file("a,urgent\n")
    pinned = CATALOG.read_text().replace(str(entry.checksum), f"sha256:{inspect_sha256()}")
    CATALOG.write_text(pinned)
    download.main()


def inspect_sha256() -> str:
    return inspect(TICKETS, "ticket", "urgency").sha256


def the_name_is_mistyped() -> None:
    listed("a,low\nb,high\n")
    set_params(Path(), {"data.name": "ticket"})
    download.main()


def there_are_few_rows() -> None:
    listed("a,low\nb,high\n")
    download.main()
    split.main()


def the_texts_are_to_be_longer_than_the_encoder_reads() -> None:
    load_tokenizer(Path("data/own/tiny"), 600)


def runs_are_of_other_rows() -> None:
    rows = pd.DataFrame({"row": [1, 2], "label": [0, 1]})
    refuse_other_rows(rows, rows[:1], "the two runs")


def something_is_not_committed() -> None:
    set_params(Path(), {"train.epochs": 9})
    _refuse_changes()


MESSAGES: dict[str, Callable[[], None]] = {
    "the order of the labels … is not known": the_order_is_unknown,
    "the label is empty: fill it, or set data.missing to drop such rows": a_text_has_no_label,
    "no column 'text'; it has 'ticket', 'urgency'": a_column_is_called_otherwise,
    "data/catalog.yaml already has 'tickets'": the_name_is_taken,
    "checksum mismatch: sha256 is …": the_file_has_changed,
    "'urgent' is not a known label; known are low, medium, high, critical": a_label_is_new,
    "data.name 'ticket' is neither in data/catalog.yaml nor a path that exists": (
        the_name_is_mistyped
    ),
    "the split of … reviews leaves …": there_are_few_rows,
    "this encoder reads at most … tokens": the_texts_are_to_be_longer_than_the_encoder_reads,
    "were tested on different rows": runs_are_of_other_rows,
    "the working tree has changes that are not committed": something_is_not_committed,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_mistake_is_refused_with_this_message(
    message: str, small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_project)
    with pytest.raises(UserError) as raised:
        MESSAGES[message]()
    pattern = ".*".join(re.escape(part) for part in message.split("…"))
    assert re.search(pattern, str(raised.value))
