"""Test predictions of a trained model, from Python and from the command line."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ordinal
from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.data import tables
from ordinal.prediction import inputs
from ordinal.prediction.inputs import ROWS_PER_CHUNK, Chunk, TextSource, texts_of_lines
from ordinal.prediction.streaming import predict_rows, table_writer
from tests.conftest import run_in

TEXTS = ["the room was superb 7", "awful bed", "staff " * 100]


@pytest.fixture
def texts_and_truth(finished_project: Path) -> tuple[list[str], pd.DataFrame]:
    """The test reviews of a finished run, and the evaluate stage's predictions for them."""
    split = pd.read_parquet(finished_project / "data/split/test.parquet")
    raw = pd.read_parquet(finished_project / "data/raw/reviews.parquet")
    texts = raw["text"].iloc[split["row"]].tolist()
    return texts, pd.read_parquet(finished_project / "data/predictions/test.parquet")


def test_predictions_are_those_of_the_evaluate_stage(
    finished_project: Path, texts_and_truth: tuple[list[str], pd.DataFrame]
) -> None:
    texts, evaluated = texts_and_truth
    predictions = ordinal.load(finished_project / "models/ordinal").predict(texts)
    labels = ["1", "2", "3", "4", "5"]
    for index, column in (("label", "predicted"), ("low", "low"), ("high", "high")):
        said = [getattr(prediction, index) for prediction in predictions]
        assert said == [labels[value] for value in evaluated[column]]
    chances = pd.DataFrame([prediction.probabilities for prediction in predictions])
    expected = evaluated[[f"p_{label}" for label in labels]].to_numpy()
    assert chances.columns.tolist() == labels
    assert chances.to_numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_is_predicted_row_by_row(
    finished_project: Path, texts_and_truth: tuple[list[str], pd.DataFrame], ending: str
) -> None:
    texts, evaluated = texts_and_truth
    reviews = pd.DataFrame({"id": range(len(texts)), "review": texts})
    write = {"csv": "to_csv", "jsonl": "to_json", "parquet": "to_parquet"}[ending]
    options = {"orient": "records", "lines": True} if ending == "jsonl" else {"index": False}
    getattr(reviews, write)(finished_project / f"reviews.{ending}", **options)
    command = ("ordinal", "predict", f"reviews.{ending}", "--text", "review")
    run = run_in(finished_project, *command, "--out", f"said.{ending}")
    assert (run.returncode, run.stdout) == (0, ""), run.stderr
    read = {
        "csv": lambda path: pd.read_csv(path, dtype={"label": str, "low": str, "high": str}),
        "jsonl": lambda path: pd.read_json(path, lines=True, dtype={"label": str}),
        "parquet": pd.read_parquet,
    }[ending]
    said = read(finished_project / f"said.{ending}")
    assert said["row"].tolist() == list(range(1, len(texts) + 1))
    assert said["label"].tolist() == [str(label + 1) for label in evaluated["predicted"]]
    chances = ["p_1", "p_2", "p_3", "p_4", "p_5"]
    assert said[chances].to_numpy() == pytest.approx(evaluated[chances].to_numpy(), abs=1e-5)


COLUMNS = pa.table(
    {
        "id": pa.array([7, None, 9]),
        "label": pa.array(["=1+1", None, " x"]),
        "label_in_file": pa.array([0.1234567890123456, 2.0, None]),
        "when": pa.array([datetime(2021, 1, 2, 3, 4, 5, 6), None, None], pa.timestamp("us", "UTC")),
        "review": pa.array(["a superb room", "awful bed", "good"]),
        "p_1": pa.array([True, False, None]),
    }
)
RENAMED = ["id", "label_in_file", "label_in_file_in_file", "when", "review", "p_1_in_file"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_columns_of_a_file_follow_the_prediction_unchanged(
    finished_project: Path, ending: str
) -> None:
    pq.write_table(COLUMNS, finished_project / "reviews.parquet")
    command = ("ordinal", "predict", "reviews.parquet", "--text", "review")
    run = run_in(finished_project, *command, "--out", f"said.{ending}")
    assert run.returncode == 0, run.stderr
    path = finished_project / f"said.{ending}"
    own = ["row", "label", "low", "high", "p_1", "p_2", "p_3", "p_4", "p_5"]
    if ending == "parquet":
        said = pq.read_table(path)
        assert said.column_names == [*own, *RENAMED]
        assert said.select(RENAMED).rename_columns(COLUMNS.column_names).equals(COLUMNS)
    elif ending == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert list(rows[0]) == [*own, *RENAMED]
        when = "2021-01-02T03:04:05.000006+00:00"
        first = [7, "=1+1", 0.1234567890123456, when, "a superb room", True]
        assert [rows[0][name] for name in RENAMED] == first
        assert [rows[2][name] for name in RENAMED] == [9, " x", None, None, "good", None]
    else:
        header, first, second, _ = csv.reader(path.read_text().splitlines())
        assert header == [*own, *RENAMED]
        when = "2021-01-02 03:04:05.000006+00:00"
        spelled = ["7", "'=1+1", "0.1234567890123456", when, "a superb room", "True"]
        assert first[len(own) :] == spelled
        assert second[len(own) :] == ["", "", "2.0", "", "awful bed", "False"]


def test_columns_can_be_chosen(finished_project: Path) -> None:
    (finished_project / "t.csv").write_text("id,review,stars,\n007,good room,4,\n8,awful,1,x\n")
    command = ("ordinal", "predict", "t.csv", "--text", "review")
    own = ["row", "label", "low", "high", "p_1", "p_2", "p_3", "p_4", "p_5"]
    for options, expected in (
        ((), ["id", "review", "stars"]),
        (("--keep", "stars", "--keep", "id"), ["stars", "id"]),
    ):
        run = run_in(finished_project, *command, *options)
        header, first, _ = csv.reader(run.stdout.splitlines())
        assert header == [*own, *expected], run.stderr
        assert first[header.index("id")] == "007"
    run = run_in(finished_project, *command, "--keep", "day")
    assert run.returncode == 1
    assert run.stderr == "error: t.csv: no column 'day'; it has 'id', 'review', 'stars', ''\n"
    (finished_project / "t.csv").write_text("id,review,id\n7,good room,4\n8,awful,1\n")
    run = run_in(finished_project, *command)
    assert "several columns are named 'id': rename one, or choose the columns to" in run.stderr
    assert run_in(finished_project, *command, "--keep", "review").returncode == 0


def test_several_text_columns_are_joined_as_in_training(finished_project: Path) -> None:
    (finished_project / "t.csv").write_text(
        "title,body\nsuperb,the room\n,awful bed\nplain, \n", encoding="utf-8"
    )
    joined = run_in(
        finished_project, *("ordinal", "predict", "superb\nthe room", "awful bed", "plain")
    )
    command = ("ordinal", "predict", "t.csv", "--text", "title", "--text", "body")
    run = run_in(finished_project, *command, "--keep", "title")
    assert run.returncode == 0, run.stderr
    said = [line.rsplit(",", 1)[0] for line in run.stdout.splitlines()]
    assert said == joined.stdout.splitlines()
    # A model that was trained on these columns needs no --text.
    config = json.loads((finished_project / "models/ordinal/config.json").read_text())
    config["ordinal"]["text"] = ["title", "body"]
    (finished_project / "models/ordinal/config.json").write_text(json.dumps(config))
    again = run_in(finished_project, "ordinal", "predict", "t.csv", "--keep", "title")
    assert (again.returncode, again.stdout) == (0, run.stdout), again.stderr
    # An ONNX file is loaded to know its columns, and not again to predict.
    predictor = ordinal.load(finished_project / "models/ordinal")
    (finished_project / "m.onnx").touch()
    command = ("ordinal", "predict", "t.csv", "--keep", "title", "--model", "m.onnx")
    with patch("ordinal.prediction.onnx.load_onnx", return_value=predictor) as loads:
        exported = run_in(finished_project, *command)
    assert (exported.returncode, exported.stdout) == (0, run.stdout), exported.stderr
    loads.assert_called_once()
    one = run_in(finished_project, "ordinal", "predict", "t.csv", "--text", "body", "--keep-going")
    assert len(one.stdout.splitlines()) == 4
    rows = [{"title": "superb", "body": "the room"}, {"body": "awful bed"}, {"title": "plain"}]
    assert predictor.predict(rows) == predictor.predict(["superb\nthe room", "awful bed", "plain"])
    for row, message in (
        ({"text": "a"}, "text 1 of 1 has the column 'text'; this model has 'title', 'body'"),
        ({"title": None, "body": " "}, "text 1 of 1 is empty"),
        ({}, "text 1 of 1 is empty"),
    ):
        with pytest.raises(UserError) as raised:
            predictor.predict([row])
        assert str(raised.value) == message
    with pytest.raises(UserError, match="text 1 of 1 is a row of columns, but this model has one"):
        replace(predictor, columns=()).predict([{"title": "a"}])


def test_texts_come_as_arguments_or_as_lines(finished_project: Path) -> None:
    given = run_in(finished_project, "ordinal", "predict", *TEXTS)
    assert given.returncode == 0, given.stderr
    header, *rows = given.stdout.splitlines()
    assert header == "row,label,low,high,p_1,p_2,p_3,p_4,p_5"
    assert [row.split(",")[0] for row in rows] == ["1", "2", "3"]
    piped = run_in(
        finished_project, "bash", "-c", f"printf '{chr(10).join(TEXTS)}' | ordinal predict"
    )
    assert piped.stdout == given.stdout


def test_the_model_of_a_commit_is_fetched_from_the_cache(finished_project: Path) -> None:
    here = run_in(finished_project, "ordinal", "predict", *TEXTS)
    run_in(finished_project, "rm", "-r", "models")
    gone = run_in(finished_project, "ordinal", "predict", *TEXTS)
    assert gone.returncode == 1
    assert gone.stderr.startswith("error: models/ordinal is missing: run `make repro` first")
    fetched = run_in(finished_project, "ordinal", "predict", *TEXTS, "--model", "HEAD")
    assert (fetched.returncode, fetched.stdout) == (0, here.stdout), fetched.stderr
    unknown = run_in(finished_project, "ordinal", "predict", "x", "--model", "no-such")
    assert unknown.returncode == 1
    assert "'no-such' is not a folder or file" in unknown.stderr
    assert unknown.stderr.count("\n") == 1


def test_a_row_without_a_text_is_an_error_except_with_keep_going(finished_project: Path) -> None:
    (finished_project / "reviews.csv").write_text('review\ngood room\n" "\nawful bed\n')
    command = ("ordinal", "predict", "reviews.csv", "--text", "review", "--out", "said.csv")
    run = run_in(finished_project, *command)
    assert run.returncode == 1
    assert run.stderr == (
        "error: reviews.csv: row 2 has no text: fill or remove it, or skip such rows with "
        "--keep-going\n"
    )
    assert not (finished_project / "said.csv").exists()
    run = run_in(finished_project, *command, "--keep-going")
    assert run.returncode == 0
    assert "row 2 has no text: fill or remove it; its prediction is left empty" in run.stderr
    said = pd.read_csv(finished_project / "said.csv")
    assert said["label"].isna().tolist() == [False, True, False]
    assert said["row"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--text", "review"], "--text names the column of one file"),
        (["gone.csv", "--text", "review"], "gone.csv is missing"),
        (["good", "--keep", "id"], "--keep names columns of a file: add the name of that file"),
        (["data/own/small.csv"], "is a file: name the column of its texts with --text"),
        (
            ["data/own/small.csv", "--text", "review", "--out", "data/../data/own/small.csv"],
            "is the file with the texts: choose another name",
        ),
        (["data/own/small.csv", "--text", "text"], "no column 'text'; it has 'review', 'stars'"),
        (["good", "--out", "said.xlsx"], "the name has to end in .csv, .jsonl or .parquet"),
        (["good", "--coverage", "1.5"], "coverage is 1.5: it has to be between 0 and 1"),
        (["good", "--model", "gone.onnx"], "gone.onnx is missing"),
        (["good", "--model", "data/own/tiny"], "was not trained by this project"),
    ],
)
def test_a_mistake_in_the_arguments_is_refused_in_one_sentence(
    finished_project: Path, arguments: list[str], complaint: str
) -> None:
    run = run_in(finished_project, "ordinal", "predict", *arguments)
    assert run.returncode == 1
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["reviews.txt"], "to predict each of its lines, run `ordinal predict < reviews.txt`"),
        (["my reviews.log"], "run `ordinal predict < 'my reviews.log'`"),
        (["notes"], "`ordinal predict < notes`; to predict its name, run `echo notes | ordinal"),
        (["reviews.csv"], "name the column of its texts with --text, as in `ordinal predict rev"),
        (["reviews.txt", "reviews.csv"], "reviews.txt is a file: predict one file at a time"),
        (["a good room", "reviews.csv"], "reviews.csv is a file: predict one file at a time"),
        (["folder"], "folder is a folder: run `ordinal predict FILE --text COLUMN`"),
        (["folder", "--text", "review"], "folder is a folder: name a file in it"),
        (["a good room", "--out", "out.csv"], "--out out.csv is a folder: name a file in it"),
        (["a good room", "--model", "reviews.txt"], "--model reviews.txt is a file: name a model"),
        (["a good room", "--model", "m.onnx"], "--model m.onnx is a folder: name an .onnx file"),
    ],
)
def test_the_name_of_a_file_or_folder_is_never_taken_for_a_text_or_the_reverse(
    tmp_path: Path, arguments: list[str], advice: str
) -> None:
    for name in ("reviews.txt", "my reviews.log", "notes", "reviews.csv"):
        (tmp_path / name).write_text("review\ngood room\n", encoding="utf-8")
    for name in ("folder", "out.csv", "m.onnx", "models/ordinal"):
        (tmp_path / name).mkdir(parents=True)
    run = run_in(tmp_path, "ordinal", "predict", *arguments)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("error: ")
    assert advice in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "../" * 2000, "no-such-file.txt", "/\n"])
def test_a_text_that_is_no_file_is_a_text(text: str) -> None:
    source = inputs.choose_texts([text], [], None, None)
    assert list(source.chunks) == [([text], None)]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["study", "studies"], "studies is a folder; the studies here are: studies/"),
        (["results", "README.md"], "README.md is a file: name the root of a project"),
        (["report", "--out", "data"], "data can't be written: Is a directory"),
        (["export", "onnx", "--out", "m.onnx"], "--out m.onnx is a folder: name a file in it"),
        (["push-to-hub", "a/b", "--model", "README.md"], "--model README.md is a file: name a"),
        (["serve", "--model", "README.md"], "--model README.md is a file: name a model's folder"),
    ],
)
def test_other_commands_refuse_a_folder_for_a_file_and_the_reverse(
    finished_project: Path, command: list[str], complaint: str
) -> None:
    (finished_project / "m.onnx").mkdir()
    run = run_in(finished_project, "ordinal", *command)
    assert run.returncode == 1
    assert complaint in run.stderr
    assert run.stderr.count("\n") == 1


def test_no_more_is_read_than_is_being_predicted(finished_project: Path) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"good room\n"

    predictor = ordinal.load(finished_project / "models/ordinal")
    source = TextSource("stdin", map(Chunk, texts_of_lines(endless())))
    rows = predict_rows(predictor, source, keep_going=False)
    assert len(next(rows)) == read == ROWS_PER_CHUNK


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_is_read_in_chunks_and_only_as_far_as_needed(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROWS_PER_CHUNK", 4)
    monkeypatch.setattr(inputs, "ROWS_PER_CHUNK", 3)
    path = tmp_path / f"reviews.{ending}"
    reviews = pd.DataFrame({"review": [f"room {row}" for row in range(10)]})
    reviews.to_csv(path, index=False) if ending == "csv" else reviews.to_parquet(path)
    read = []

    def watched(*arguments: object) -> Iterator[pd.DataFrame]:
        for piece in tables.read_table(*arguments):  # type: ignore[arg-type]
            read.append(len(piece))
            yield piece

    monkeypatch.setattr(inputs, "read_table", watched)
    chunks = inputs.rows_of_file(path, ["review"])
    assert len(next(chunks).texts) == 3
    assert sum(read) <= 4
    rest = [len(chunk.texts) for chunk in chunks]
    assert sum(rest) == 7
    assert max(*rest, *read) <= 4


def test_an_empty_text_is_refused_by_its_number(finished_project: Path) -> None:
    predictor = ordinal.load(finished_project / "models/ordinal")
    with pytest.raises(UserError, match="text 2 of 2 is empty"):
        predictor.predict(["good", " "])
    with pytest.raises(UserError, match="text 1 of 1 has half of a surrogate pair"):
        predictor.predict(["\ud83d"])
    assert predictor.predict([]) == []


def test_a_file_without_rows_gives_a_table_without_rows(finished_project: Path) -> None:
    (finished_project / "none.csv").write_text("review\n")
    for out, read in (("said.csv", pd.read_csv), ("said.parquet", pd.read_parquet)):
        command = ("ordinal", "predict", "none.csv", "--text", "review", "--out", out)
        run = run_in(finished_project, *command)
        assert run.returncode == 0, run.stderr
        said = read(finished_project / out)
        assert len(said) == 0
        assert list(said)[:4] == ["row", "label", "low", "high"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (r"printf 'good\n\xe9t\xe9\n' | ordinal predict", "stdin: line 2 is not UTF-8"),
        ("ordinal predict <&-", "stdin is closed"),
    ],
)
def test_unusable_stdin_is_refused_in_one_sentence(
    line: str, complaint: str, finished_project: Path
) -> None:
    run = run_in(finished_project, "bash", "-c", line)
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: {complaint}")
    assert run.stderr.count("\n") == 1


def test_a_closed_pipe_ends_the_command_silently(finished_project: Path) -> None:
    line = "yes good room | head -n 5000 | ordinal predict | head -n 1; echo ${PIPESTATUS[2]}"
    run = run_in(finished_project, "bash", "-c", line)
    assert run.stdout.splitlines()[0].startswith("row,label")
    assert run.stdout.splitlines()[1] == "141"
    assert run.stderr == ""


@pytest.mark.parametrize("module", ["ordinal", "ordinal.cli"])
def test_importing_the_package_and_its_command_line_is_light(module: str) -> None:
    script = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert not {"torch", "transformers", "pandas", "numpy"} & set(json.loads(shown))


def test_an_exported_model_is_measured_and_used(finished_project: Path) -> None:
    run = run_in(finished_project, "ordinal", "export", "onnx", "--int8", COLUMNS="120")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    both = "ordinal.int8.onnx, --precise ordinal.onnx"
    for form in ("the model", "ordinal.onnx", "ordinal.int8.onnx", both):
        assert f"│ {form} " in run.stdout
    folder = run_in(finished_project, "ordinal", "predict", *TEXTS)
    file = run_in(
        finished_project, "ordinal", "predict", *TEXTS, "--model", "models/onnx/ordinal.onnx"
    )
    assert file.returncode == 0, file.stderr
    one, other = (pd.read_csv(io.StringIO(run.stdout)) for run in (folder, file))
    # Probabilities may differ in their last digits, which may move an end of an interval.
    ends = ["low", "high"]
    pd.testing.assert_frame_equal(one.drop(columns=ends), other.drop(columns=ends), atol=1e-5)


def test_without_its_validation_rows_no_file_in_eight_bits_is_written(
    finished_project: Path,
) -> None:
    command = ("ordinal", "export", "onnx", "--int8", "--out", "new/model.onnx")
    tokenized = finished_project / "data/tokenized"
    for name in ("tokenizer_config.json", "validation.arrow"):
        (tokenized / name).chmod(0o644)
    settings = read_json(tokenized / "tokenizer_config.json")
    write_json(tokenized / "tokenizer_config.json", settings | {"model_max_length": 63})
    run = run_in(finished_project, *command)
    rows = "data/tokenized/validation.arrow"
    assert run.stderr.startswith(f"error: {rows} does not have the rows on which this model was")
    (tokenized / "validation.arrow").unlink()
    missing = run_in(finished_project, *command)
    assert missing.stderr == (
        f"error: {rows} is missing, and --int8 calibrates on its rows: run `make repro`, "
        "or leave out --int8\n"
    )
    assert (run.returncode, missing.returncode) == (1, 1)
    assert not (finished_project / "new").exists()


def test_bf16_with_its_precise_form_gives_the_same_labels(finished_project: Path) -> None:
    export = run_in(finished_project, "ordinal", "export", "bf16", COLUMNS="120")
    assert export.returncode == 0, export.stderr
    for form in ("the model", "models/bf16", "models/bf16, --precise models/ordinal"):
        assert f"│ {form} " in export.stdout
    full = run_in(finished_project, "ordinal", "predict", *TEXTS)
    fast = ("--model", "models/bf16", "--precise", "models/ordinal")
    half = run_in(finished_project, "ordinal", "predict", *TEXTS, *fast)
    assert half.returncode == 0, half.stderr
    one, other = (pd.read_csv(io.StringIO(run.stdout)) for run in (full, half))
    assert one["label"].tolist() == other["label"].tolist()
    wrong = run_in(finished_project, "ordinal", "predict", "good", "--precise", "models/gone.onnx")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: models/ordinal has no precise form: name a file of ")
    taken = run_in(finished_project, "ordinal", "export", "bf16", "--out", "models/ordinal")
    assert taken.stderr == "error: --out models/ordinal is something else: name a new folder\n"


def with_labels(project: Path, labels: list[str]) -> None:
    """Rename the labels of a project's model."""
    path = project / "models/ordinal/config.json"
    config = json.loads(path.read_text())
    config["ordinal"]["labels"] = labels
    path.unlink()  # DVC may have made it a link into its cache
    path.write_text(json.dumps(config))


def test_labels_such_as_plus_and_minus_are_predicted(finished_project: Path) -> None:
    labels = ["--", "-", "0", "+", "=1+1"]
    with_labels(finished_project, labels)
    predictor = ordinal.load(finished_project / "models/ordinal")
    expected = [prediction.label for prediction in predictor.predict(TEXTS)]
    for ending in ("csv", "jsonl", "parquet"):
        run = run_in(finished_project, "ordinal", "predict", *TEXTS, "--out", f"out.{ending}")
        assert run.returncode == 0, run.stderr
    table = pd.read_csv(finished_project / "out.csv", dtype=str)
    assert list(table)[4:] == [f"p_{label}" for label in labels]
    assert table["label"].tolist() == [label if label == "0" else f"'{label}" for label in expected]
    rows = [json.loads(line) for line in (finished_project / "out.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == expected
    assert pd.read_parquet(finished_project / "out.parquet")["label"].tolist() == expected


def test_text_that_a_spreadsheet_would_compute_is_escaped_in_csv_alone(tmp_path: Path) -> None:
    cells = ["=1+1", "+", "--", "@x", "\tx", "\rx", "-1.5", "+2", "-1e-3", "1", "a=b", "", None]
    escaped = [
        "'=1+1",
        "'+",
        "'--",
        "'@x",
        "'\tx",
        "'\nx",
        "-1.5",
        "+2",
        "-1e-3",
        "1",
        "a=b",
        "",
        "",
    ]
    table = pd.DataFrame({"row": range(len(cells)), "=label": cells, "p_-": -0.5})
    for ending in ("csv", "jsonl"):
        with table_writer(tmp_path / f"t.{ending}") as write:
            write(table)
            write(table)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "'=label", "p_-"]
    assert [label for _, label, _ in rows] == escaped * 2
    assert {value for *_, value in rows} == {"-0.5"}
    lines = (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["=label"] for line in lines] == cells * 2
