"""Files of three shapes, from `ordinal new-data` to predictions, by the commands that it prints."""

import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dvc.utils.hydra import apply_overrides

from ordinal.sources.catalog import load_catalog
from tests.conftest import WORDS, run_all_stages, run_as_shown, run_in, set_params, stages_run

SPELLED = ["{}/5", "{} / 5", "{} stars", "{}.0"]
STARS = ["1", "2", "3", "4", "5"]


def reviews(rows: int) -> pd.DataFrame:
    draw = random.Random(rows)
    fillers = [" ".join(draw.choices(["room", "bed", "the"], k=5)) for _ in range(rows)]
    bodies = [f"{filler} {WORDS[n % 5]} {n}" for n, filler in enumerate(fillers)]
    return pd.DataFrame({"review": bodies, "stars": [n % 5 + 1 for n in range(rows)]})


def clean(folder: Path) -> list[str]:
    reviews(150).to_csv(folder / "clean.csv", index=False)
    return ["clean.csv"]


def messy(folder: Path) -> list[str]:
    """A German export: two texts, customers, ratings in several spellings, some without one."""
    table = reviews(160)
    draw = random.Random(1)
    spelled = [SPELLED[n % 4].format(stars) for n, stars in enumerate(table["stars"])]
    table = pd.DataFrame(
        {
            "Kunde": [f"K{draw.randrange(40):03}" for _ in range(160)],
            "Datum": pd.date_range("2024-01-01", periods=160).strftime("%d.%m.%Y"),
            "Überschrift": [f"schöner {WORDS[n % 5]} Titel" for n in range(160)],
            "Text": table["review"],
            "Bewertung": ["" if n % 20 == 7 else cell for n, cell in enumerate(spelled)],
        }
    )
    table.to_csv(folder / "Export 2024.csv", sep=";", encoding="cp1252", index=False)
    texts = ["--text", "Überschrift", "--text", "Text", "--label", "Bewertung"]
    return ["Export 2024.csv", *texts, "--format", "encoding=cp1252"]


def split(folder: Path) -> list[str]:
    """A file per part, as data sets are published."""
    table = reviews(180)
    (folder / "published").mkdir()
    for name, rows in (("train", table[:120]), ("valid", table[120:140]), ("test", table[140:])):
        rows.to_json(folder / f"published/{name}.jsonl", orient="records", lines=True)
    return ["published/train.jsonl"]


def read(project: Path, file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / file).read_text())
    return found


def propose(project: Path, arguments: list[str]) -> tuple[str, str]:
    """Run new-data, and return its output and the command that it prints."""
    set_params(project, {"train.epochs": 1})
    file, *options = arguments
    run = run_in(project, "ordinal", "new-data", f"data/own/{file}", *options, "--yes")
    assert run.returncode == 0, run.stderr
    [command] = re.findall(r"To train on it: (.*)\n", run.stdout)
    return run.stdout, command


def train_here(project: Path, command: str) -> None:
    """Set the parameters of a command as DVC does, and run the stages in this process."""
    assert command.startswith("dvc exp run -S ")
    settings = [word for word in shlex.split(command)[3:] if word != "-S"]
    apply_overrides(project / "params.yaml", settings)
    run_all_stages(project)


def predict(project: Path, file: str, *options: str) -> pd.DataFrame:
    run = run_in(project, "ordinal", "predict", f"data/own/{file}", *options, "--out", "out.csv")
    assert run.returncode == 0, run.stderr
    return pd.read_csv(project / "out.csv", dtype={"label": str})


def test_a_clean_file_goes_to_predictions(small_project: Path) -> None:
    _, command = propose(small_project, clean(small_project / "data/own"))
    train_here(small_project, command)
    facts = read(small_project, "data/raw/facts.json")
    assert (facts["name"], facts["rows"], facts["labels"]) == ("clean", 150, STARS)
    assert len(predict(small_project, "clean.csv", "--text", "review")) == 150


@pytest.mark.slow
def test_a_messy_export_goes_to_predictions(small_project: Path) -> None:
    _, command = propose(small_project, messy(small_project / "data/own"))
    assert command == (
        "dvc exp run -S data.name=export-2024 -S 'data.keep=[Datum]' -S data.missing=drop "
        "-S split.method=group -S split.column=Kunde"
    )
    assert len(stages_run(run_as_shown(small_project, command))) >= 6
    entry = load_catalog(small_project / "data/catalog.yaml").data["export-2024"]
    assert (entry.labels, entry.map) == ([1, 2, 3, 4, 5], None)
    assert entry.text == ["Überschrift", "Text"]
    facts = read(small_project, "data/raw/facts.json")
    assert (facts["rows"], facts["dropped"]["rows without a label"]) == (152, 8)
    assert facts["repairs"] == {"labels read from N/5": 80, "labels read from N stars": 40}
    assert facts["format"]["encoding"] == "cp1252"
    shared = read(small_project, "metrics/split.json")["groups_of_earlier_parts"]
    assert shared == {"validation": 0, "test": 0}
    rows = predict(small_project, "Export 2024.csv", "--format", "encoding=cp1252")
    assert set(rows["label"]) <= set(STARS)
    assert len(rows) == 160
    assert {"Kunde", "Datum", "Bewertung"} <= set(rows)


def test_files_of_parts_go_to_predictions(small_project: Path) -> None:
    printed, command = propose(small_project, split(small_project / "data/own"))
    train_here(small_project, command)
    assert "train.jsonl, valid.jsonl, test.jsonl are the parts of one data set" in printed
    facts = read(small_project, "data/raw/facts.json")
    assert facts["rows_per_part"] == {"train": 120, "validation": 20, "test": 40}
    assert read(small_project, "metrics/split.json")["rows"] == facts["rows_per_part"]
    predicted = predict(small_project, "published/test.jsonl", "--text", "review")
    assert predicted["stars"].tolist() == [n % 5 + 1 for n in range(140, 180)]
