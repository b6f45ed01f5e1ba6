"""Text columns, kept columns and splits by a column, through the pipeline."""

import csv
import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from dvc.utils.hydra import apply_overrides

import ordinal
from ordinal.common.files import sha256
from ordinal.common.paths import PARTS
from tests.conftest import (
    ROOT,
    WORDS,
    record_results,
    run_all_stages,
    run_in,
    set_params,
    stages_run,
)
from tests.pipeline.test_bad_input import HEADER, ROWS, assert_contains, refused, run_stage, taken
from tests.pipeline.test_bad_input import workspace as workspace

GOOD = HEADER + ROWS


def orders(rows: int = 150) -> pd.DataFrame:
    """Reviews in two columns, of 30 customers, on different days."""
    draw = random.Random(1)
    table = pd.DataFrame({"id": [f"{number:04}" for number in range(rows)]})
    table["title"] = [WORDS[number % 5] if number % 7 else "" for number in range(rows)]
    fillers = [" ".join(draw.choices(["room", "bed", "the"], k=3)) for _ in range(rows)]
    table["body"] = [f"{WORDS[number % 5]} {fillers[number]} {number}" for number in range(rows)]
    table["stars"] = [number % 5 + 1 for number in range(rows)]
    table["customer"] = [f"c{draw.randrange(30)}" for _ in range(rows)]
    days = pd.date_range("2024-01-01", periods=rows).strftime("%d.%m.%Y").tolist()
    table["day"] = draw.sample(days, rows)
    return table


def experiment(project: Path, *arguments: str) -> list[str]:
    settings = [part for one in arguments if "=" in one for part in ("-S", one)]
    targets = [one for one in arguments if "=" not in one]
    run = run_in(project, "dvc", "exp", "run", *settings, *targets)
    assert run.returncode == 0, run.stdout + run.stderr
    return stages_run(run.stdout)


def details(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "metrics/details.json").read_text())
    return found


def predictions(project: Path) -> dict[str, pd.DataFrame]:
    return {part: pd.read_parquet(project / f"data/predictions/{part}.parquet") for part in PARTS}


@pytest.mark.slow
def test_columns_groups_and_dates_go_from_the_file_to_the_predictions(
    small_project: Path,
) -> None:
    table = orders()
    table.to_csv(small_project / "data/own/orders.csv", index=False)
    set_params(
        small_project,
        {
            "data.name": "data/own/orders.csv",
            "data.text": ["title", "body"],
            "data.keep": ["id", "day"],
            "split.method": "group",
            "split.column": "customer",
            "train.epochs": 1,
        },
    )
    run_all_stages(small_project)
    record_results(small_project)
    raw = pq.read_table(small_project / "data/raw/reviews.parquet")
    assert raw.column_names == ["text", "label", "id", "day", "customer"]
    assert raw["text"][:2].to_pylist() == [table["body"][0], f"{WORDS[1]}\n{table['body'][1]}"]
    of_part = predictions(small_project)
    rows = pd.concat(of_part.values()).sort_values("row").reset_index()
    assert list(rows.columns[1:5]) == ["id", "day", "customer", "row"]
    for column in ("id", "day", "customer"):
        assert rows[column].tolist() == table[column].tolist()
    customers = [set(part["customer"]) for part in of_part.values()]
    assert not (customers[0] & customers[1] | customers[0] & customers[2])
    assert not customers[1] & customers[2]
    assert details(small_project)["split"]["groups_of_earlier_parts"] == {
        "validation": 0,
        "test": 0,
    }

    # The model knows its columns; the same rows give the same predictions.
    run = run_in(small_project, "ordinal", "predict", "data/own/orders.csv", "--keep", "id")
    assert run.returncode == 0, run.stderr
    said = pd.DataFrame(csv.DictReader(run.stdout.splitlines())).set_index("id")
    test = of_part["test"].set_index("id")
    assert (said.loc[test.index, "label"].astype(int) - 1).tolist() == test["predicted"].tolist()
    card = (small_project / "models/ordinal/README.md").read_text()
    assert 'A text consists of the columns title, body, joined in this order by `"\\n"`.' in card
    run = run_in(small_project, "ordinal", "report")
    assert run.returncode == 0, run.stderr
    run = run_in(small_project, "ordinal", "export", "onnx")
    assert run.returncode == 0, run.stderr
    row = {"title": "superb", "body": "the room"}
    for model in ("models/ordinal", "models/onnx/ordinal.onnx"):
        predictor = ordinal.load(small_project / model)
        assert list(predictor.columns) == ["title", "body"]
        assert predictor.predict([row]) == predictor.predict(["superb\nthe room"])

    # Another column of the split is another table; another method is not.
    assert experiment(small_project, "split.method=shuffle", "split") == ["split"]
    split = json.loads((small_project / "metrics/split.json").read_text())
    assert split["groups_of_earlier_parts"]["test"] > 0
    assert "that is also in an earlier part. If the model is to work" in split["warnings"][-1]
    ran = experiment(
        small_project, "split.method=time", "split.column=day", "data.keep=[id]", "split"
    )
    assert ran == ["download", "split"]
    days = [
        pd.to_datetime(
            pd.read_parquet(small_project / f"data/split/{part}.parquet")["day"], format="%d.%m.%Y"
        )
        for part in PARTS
    ]
    assert [len(part) for part in days] == [105, 15, 30]
    assert days[0].max() < days[1].min() < days[1].max() < days[2].min()
    assert "groups_of_earlier_parts" not in json.loads(
        (small_project / "metrics/split.json").read_text()
    )


def run_stages(project: Path, *stages: str) -> str:
    out = ""
    for stage in stages:
        run = run_stage(project, stage)
        assert run.returncode == 0, run.stderr
        out += run.stdout
    return out


def test_given_files_with_the_rows_of_shuffle_have_the_same_tokens(small_project: Path) -> None:
    run_stages(small_project, "pretrained", "download", "split", "tokenize")
    shuffled = {part: sha256(small_project / f"data/tokenized/{part}.arrow") for part in PARTS}
    table = pd.read_csv(small_project / "data/own/small.csv")
    folder = small_project / "data/own/parts"
    folder.mkdir()
    (folder / "README.md").write_text("Not a part.")
    for part, name in zip(PARTS, ("Train.csv", "dev.jsonl", "test.parquet"), strict=True):
        rows = pd.read_parquet(small_project / f"data/split/{part}.parquet")["row"]
        of_part = table.iloc[rows]
        if name.endswith("csv"):
            of_part.to_csv(folder / name, index=False)
        elif name.endswith("jsonl"):
            of_part.to_json(folder / name, orient="records", lines=True)
        else:
            of_part.to_parquet(folder / name)
    set_params(small_project, {"data.name": "data/own/parts", "split.method": "given"})
    run_stages(small_project, "download", "split", "tokenize")
    given = {part: sha256(small_project / f"data/tokenized/{part}.arrow") for part in PARTS}
    assert given == shuffled
    facts = json.loads((small_project / "data/raw/facts.json").read_text())
    assert facts["rows_per_part"] == {"train": 84, "validation": 12, "test": 24}
    assert list(facts["files"]) == ["Train.csv", "dev.jsonl", "test.parquet"]
    assert "sha256" not in facts


def test_a_folder_without_a_validation_file_gets_validation_rows_from_train(
    workspace: Path,
) -> None:
    folder = workspace / "parts"
    folder.mkdir()
    (folder / "train.csv").write_text(GOOD)
    (folder / "train.csv.dvc").write_text("outs: []")
    (folder / "test.csv").write_text(HEADER + "fine,4\n" * 10)
    set_params(workspace, {"data.name": "parts", "data.text": "review", "data.label": "stars"})
    taken(workspace)
    out = run_stages(workspace, "split")
    assert "warning: The source has parts of its own, and split.method is shuffle" in out
    set_params(workspace, {"split.method": "given"})
    out = run_stages(workspace, "split")
    assert "split: no validation part is given: 15 train rows, at random, become it" in out
    assert "{'train': 105, 'validation': 15, 'test': 10}" in out
    assert "warning: The source" not in out


def test_the_commands_of_the_guide_split_as_it_says(workspace: Path) -> None:
    page = (ROOT / "docs/data-reference.md").read_text(encoding="utf-8")
    commands = re.findall(r"^dvc exp run (-S data.name=data/own/orders.*|-S split.*)$", page, re.M)
    table = orders(100)
    table["part"] = [("train", "Train", "dev", "test")[number % 4] for number in range(100)]
    folder = workspace / "data/own/orders"
    folder.mkdir(parents=True)
    table.to_csv(workspace / "data/own/orders.csv", index=False)
    for part, name in (("train", "train.csv"), ("dev", "valid.csv"), ("test", "test.csv")):
        table[table["part"].str.lower() == part].to_csv(folder / name, index=False)
    found = []
    for command in commands:
        overrides = [word for word in shlex.split(command, comments=True) if word != "-S"]
        apply_overrides(workspace / "params.yaml", overrides)
        run_stages(workspace, "download", "split")
        split = [pd.read_parquet(workspace / f"data/split/{part}.parquet") for part in PARTS]
        found.append((list(split[0].columns), list(map(len, split))))
    kept = ["row", "text", "label", "id"]
    (_, groups) = found[1]
    assert groups == pytest.approx([70, 10, 20], abs=5)
    assert found == [
        (kept, [70, 10, 20]),
        ([*kept, "customer"], groups),
        ([*kept, "day"], [70, 10, 20]),
        ([*kept, "part"], [50, 25, 25]),
        ([*kept, "part"], [50, 25, 25]),
    ]


TABLE = "review,stars,who,day,part\n" + "".join(
    f"room {number},{number % 5 + 1},a,2024-01-{number % 28 + 1:02},{PARTS[number % 3]}\n"
    for number in range(60)
)

BAD_COLUMNS: dict[str, tuple[str, dict[str, object], tuple[str, ...]]] = {
    "unknown text": ("download", {"data.text": ["review", "body"]}, ("r.csv", "'body'")),
    "unknown kept column": ("download", {"data.keep": ["id"]}, ("r.csv", "'id'", "'who'")),
    "unknown split column": ("download", {"split.column": "when"}, ("r.csv", "'when'", "'day'")),
    "kept label": ("download", {"data.keep": ["stars"]}, ("'stars'", "remove it from keep")),
    "label as groups": ("download", {"split.column": "stars"}, ("split.column", "'stars'")),
    "group without a column": (
        "download",
        {"split.method": "group", "split.column": None},
        ("method group needs a column",),
    ),
    "given without parts": ("split", {"split.method": "given"}, ("not split", "split.column")),
    "one group": (
        "split",
        {"split.method": "group", "split.column": "who"},
        ("split.method is group", "'who'", "only 1 different values"),
    ),
    "dates that are none": (
        "split",
        {"split.method": "time", "split.column": "who"},
        ("column 'who' in row 1 of data/raw/reviews.parquet is 'a'", "not a date"),
    ),
    "parts that are none": (
        "split",
        {"split.method": "given", "split.column": "day"},
        ("column 'day' in row 1", "'2024-01-01'", "must be one of train,"),
    ),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_a_bad_column_is_refused(case: str, workspace: Path) -> None:
    stage, params, words = BAD_COLUMNS[case]
    (workspace / "r.csv").write_text(TABLE)
    own = {"data.name": "r.csv", "data.text": "review", "data.label": "stars"}
    set_params(workspace, own | params)
    if stage == "split":
        taken(workspace)
    assert_contains(refused(workspace, stage), words)


def test_the_column_part_of_a_file_is_used_by_given(workspace: Path) -> None:
    (workspace / "r.csv").write_text(TABLE)
    own = {"data.name": "r.csv", "data.text": "review", "data.label": "stars"}
    set_params(workspace, own | {"split.method": "given", "split.column": "part"})
    taken(workspace)
    assert "{'train': 20, 'validation': 20, 'test': 20}" in run_stages(workspace, "split")
    for part in PARTS:
        table = pd.read_parquet(workspace / f"data/split/{part}.parquet")
        assert set(table["part"]) == {part}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("predicted", ("column 'predicted' can't be kept", "rename it")),
        ("p_3", ("column 'p_3' can't be kept",)),
        ("text", ("column 'text' can't be kept",)),
    ],
)
def test_a_column_with_the_name_of_one_of_ours_is_refused(
    column: str, words: tuple[str, ...], workspace: Path
) -> None:
    (workspace / "r.csv").write_text(TABLE.replace("who", column, 1))
    own = {"data.name": "r.csv", "data.text": "review", "data.label": "stars"}
    set_params(workspace, own | {"data.keep": [column]})
    assert_contains(refused(workspace, "download"), words)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("a.csv",), ("data.name: parts is a folder", "such as parts/a.csv", "train.*")),
        (("test.csv",), ("data.name: parts is a folder", "train.*")),
        (("train.csv", "train.tsv"), ("two files for train, train.csv and train.tsv", "keep one")),
        (("train.csv", "val.csv", "dev.csv"), ("two files for validation, dev.csv and val.csv",)),
    ],
)
def test_a_folder_with_other_files_is_refused(
    files: tuple[str, ...], words: tuple[str, ...], workspace: Path
) -> None:
    (workspace / "parts").mkdir()
    for file in files:
        (workspace / "parts" / file).write_text(GOOD)
    set_params(workspace, {"data.name": "parts", "data.text": "review", "data.label": "stars"})
    assert_contains(refused(workspace, "download"), words)


def test_a_folder_without_a_test_file_can_not_be_given(workspace: Path) -> None:
    (workspace / "parts").mkdir()
    for file in ("train.csv", "dev.csv"):
        (workspace / "parts" / file).write_text(GOOD)
    own = {"data.name": "parts", "data.text": "review", "data.label": "stars"}
    set_params(workspace, own | {"split.method": "given"})
    assert taken(workspace)["rows_per_part"] == {"train": 120, "validation": 120}
    words = ("split.method is given, but no row is for test", "choose another split.method")
    assert_contains(refused(workspace, "split"), words)


def test_the_columns_of_a_catalog_entry_may_be_several(workspace: Path) -> None:
    (workspace / "r.csv").write_text("title,body,stars\na,b,1\n,c,2\nd,,1\n")
    path = workspace / "data/catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    entry = {"sources": ["r.csv"], "allow_unpinned": True, "licence": "MIT", "origin": "a test"}
    entry |= {"text": ["title", "body"], "label": "stars", "labels": [1, 2]}
    catalog["data"]["mine"] = entry
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    set_params(workspace, {"data.name": "mine"})
    assert taken(workspace)["text"] == ["title", "body"]
    table = pq.read_table(workspace / "data/raw/reviews.parquet")
    assert table["text"].to_pylist() == ["a\nb", "c", "d"]
    set_params(workspace, {"data.text": "title"})
    ignored = "data.text and data.label are ignored: data/catalog.yaml has mine"
    assert ignored in run_stages(workspace, "download")
