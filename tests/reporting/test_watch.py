"""`ordinal watch`: its exit statuses, table, JSON and page, and its refusals."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tokenizers import Tokenizer, models

from ordinal.evaluation.drift import MIN_ROWS, changes
from ordinal.prediction import watch
from ordinal.prediction.load import load
from ordinal.prediction.watch import sample_of_table, unknown_token
from ordinal.reporting.watch import Comparison, watch_page, watch_table
from tests.conftest import run_in, write_reviews_csv
from tests.reporting.test_report import MARKUP, Page

WATCH = ("ordinal", "watch", "new.csv", "--text", "review")
LABELLED = (*WATCH, "--label", "stars")
MEASURES = ["labels", "width", "tokens", "unknown", "mae", "coverage", "order"]


def write(project: Path, rows: pd.DataFrame) -> None:
    rows.to_csv(project / "new.csv", index=False)


@pytest.fixture
def watched(finished_project: Path) -> Path:
    """A project with a file of new rows from the source of its data."""
    write_reviews_csv(finished_project / "new.csv", 60, seed=1)
    return finished_project


def changed(rows: int = 60) -> pd.DataFrame:
    """Long reviews of another kind, whose labels say the opposite."""
    texts = [f"{'☂ the staff ' * 12} awful" for _ in range(rows)]
    return pd.DataFrame({"review": texts, "stars": ["5"] * rows})


def test_rows_of_the_same_source_raise_no_alarm(watched: Path) -> None:
    run = run_in(watched, *LABELLED, "--json", "--out", "drift.html")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert not found["alarm"]
    assert [one["measure"] for one in found["measures"]] == MEASURES
    assert found["before"] == {
        "source": "data/tokenized/validation.arrow",
        "rows": 12,
        "rows_with_label": 12,
    }
    assert found["now"] == {"source": "new.csv", "rows": 60, "rows_with_label": 60}
    assert "No change found" in (watched / "drift.html").read_text(encoding="utf-8")
    predictions = pd.read_parquet(watched / "data/predictions/validation.parquet")
    before = {one["measure"]: one["before"] for one in found["measures"]}
    error = (predictions["predicted"] - predictions["label"]).abs().mean()
    width = (predictions["high"] - predictions["low"] + 1).mean()
    assert (before["mae"], before["width"]) == pytest.approx((error, width), abs=1e-6)


def test_rows_of_another_source_raise_an_alarm(watched: Path) -> None:
    write(watched, changed())
    run = run_in(watched, *LABELLED, "--out", "drift.html", COLUMNS="120")
    assert run.returncode == 3, run.stderr
    assert "new.csv compared with data/tokenized/validation.arrow" in run.stdout
    [tokens] = [line for line in run.stdout.splitlines() if "mean length, in tokens" in line]
    assert tokens.split()[-1] == "yes"
    html = (watched / "drift.html").read_text(encoding="utf-8")
    page = Page(html)
    assert "The rows have changed" in html
    [rows] = page.tables
    assert rows[0] == ["measure", "before", "now", "effect", "p (Holm)", "alarm"]
    assert len(rows) == 1 + len(MEASURES)
    assert html.count("<svg") == len(MEASURES)
    assert page.policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "script" not in {tag for tag, _ in page.tags}
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len({*ids})


def test_without_labels_texts_and_predictions_are_compared(watched: Path) -> None:
    write(watched, changed().drop(columns="stars"))
    run = run_in(watched, *WATCH, "--json")
    assert run.returncode == 3, run.stderr
    measures = {one["measure"]: one for one in json.loads(run.stdout)["measures"]}
    assert list(measures) == MEASURES[:4]
    assert measures["unknown"]["alarm"]
    assert measures["unknown"]["before"] == 0


def test_a_model_elsewhere_is_watched_with_a_reference(watched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(watched / "models/ordinal", folder / "model")
    shutil.copy(watched / "new.csv", folder)
    command = (*LABELLED, "--model", "model")
    run = run_in(folder, *command)
    assert run.returncode == 1
    assert run.stderr == (
        "error: data/tokenized/validation.arrow is missing: run this in the project of the model, "
        "or name a file of held-out rows with --reference\n"
    )
    write_reviews_csv(folder / "old.csv", 60, seed=2)
    run = run_in(folder, *command, "--reference", "old.csv", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["before"]["source"] == "old.csv"


def test_an_onnx_file_is_compared_with_the_same_rows(watched: Path) -> None:
    pytest.importorskip("onnxscript")
    assert run_in(watched, "ordinal", "export", "onnx", "--int8").returncode == 0
    figures = []
    for model in ("models/ordinal", "models/onnx/ordinal.onnx", "models/onnx/ordinal.int8.onnx"):
        run = run_in(watched, *LABELLED, "--json", "--model", model)
        assert run.returncode == 0, run.stderr
        measures = json.loads(run.stdout)["measures"]
        figures.append([one[key] for one in measures[:-1] for key in ("before", "now")])
    # Because of rounding, a label may be at the other side of the end of one row's interval.
    assert figures[0] == pytest.approx(figures[1], abs=2 / 60)
    cascade = ("--model", "models/onnx/ordinal.int8.onnx", "--precise", "models/onnx/ordinal.onnx")
    assert run_in(watched, *LABELLED, *cascade).returncode == 0


def test_a_model_of_another_run_is_refused(watched: Path) -> None:
    path = watched / "models/ordinal/calibration.json"
    original = json.loads(path.read_text())
    for changed in (
        lambda scores: scores[1:],
        lambda scores: [min(1.0, score + 0.1) for score in scores],
    ):
        scores = {
            name: [*map(changed, of_labels)] for name, of_labels in original["scores"].items()
        }
        path.write_text(json.dumps(original | {"scores": scores}))
        run = run_in(watched, *WATCH)
        assert run.returncode == 1
        assert "does not have the rows on which this model was calibrated" in run.stderr
        assert "--reference" in run.stderr


def test_rows_may_lack_their_label(watched: Path) -> None:
    rows = pd.read_csv(watched / "new.csv", dtype=str)
    rows.loc[rows.index % 3 == 0, "stars"] = None
    write(watched, rows)
    model = load(watched / "models/ordinal")
    sample = sample_of_table(model, watched / "new.csv", ["review"], "stars")
    assert (len(sample.predicted), len(sample.errors)) == (60, 40)
    labels = rows["stars"].dropna().astype(int) - 1
    predicted = sample.predicted[labels.index]
    assert sample.errors.tolist() == (labels - predicted).abs().tolist()


def test_the_rows_are_predicted_in_chunks(watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(watched / "models/ordinal")
    monkeypatch.chdir(watched)
    whole = watch.sample_of_run(model)
    monkeypatch.setattr(watch, "ROWS_PER_CHUNK", 5)
    pieces = watch.sample_of_run(model)
    for name, figures in vars(whole).items():
        assert vars(pieces)[name] == pytest.approx(figures), name


@pytest.mark.parametrize(
    ("rows", "options", "complaint"),
    [
        ({}, ["--label", "grade"], "new.csv: no column 'grade'; it has 'review', 'stars'"),
        (
            {"stars": ["4"] * 29 + ["9"] + ["3"] * 30},
            ["--label", "stars"],
            "new.csv: row 30: '9' is not a known label; known are 1, 2, 3, 4, 5",
        ),
        ({"review": ["good"] * 59 + [" "]}, [], "new.csv: row 60 has no text: fill or remove it"),
        (
            {"stars": ["4"] * (MIN_ROWS - 1) + [""] * (61 - MIN_ROWS)},
            ["--label", "stars"],
            f"new.csv has {MIN_ROWS - 1} rows with a label, and at least {MIN_ROWS} are needed: "
            "fewer would show only extreme changes",
        ),
        ({}, ["--reference", "old.csv"], "old.csv is not a file: name a table"),
        ({}, ["--out", "data"], "data can't be written: Is a directory"),
    ],
    ids=["column", "label", "text", "few labels", "reference", "folder"],
)
def test_a_refusal_is_one_sentence(
    watched: Path, rows: dict[str, list[str]], options: list[str], complaint: str
) -> None:
    write(watched, pd.read_csv(watched / "new.csv", dtype=str).assign(**rows))
    run = run_in(watched, *WATCH, *options)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.splitlines()[-1] == f"error: {complaint}"


@pytest.mark.parametrize("rows", [0, MIN_ROWS - 1])
def test_too_few_rows_are_refused(watched: Path, rows: int) -> None:
    write(watched, changed(rows))
    run = run_in(watched, *WATCH)
    assert run.returncode == 1
    assert f"new.csv has {rows} rows, and at least {MIN_ROWS} are needed" in run.stderr


def test_the_text_column_has_to_be_named(watched: Path) -> None:
    run = run_in(watched, "ordinal", "watch", "new.csv")
    assert run.returncode == 1
    assert run.stderr == "error: new.csv needs the name of its text column: add --text\n"


def test_names_of_labels_and_files_are_escaped(watched: Path) -> None:
    model = load(watched / "models/ordinal")
    sample = sample_of_table(model, watched / "new.csv", ["review"], "stars")
    found = changes(sample, sample, 5, 0.9, 12, 0.01)
    plain = Comparison(list("12345"), ("a", "b"), sample, sample, found, 0.01)
    marked = replace(plain, names=MARKUP, sources=(MARKUP[0], MARKUP[1]))
    tags = [[tag for tag, _ in Page(watch_page(one)).tags] for one in (plain, marked)]
    assert not {"script", "img"} & {*tags[1]}
    assert MARKUP[0] in watch_table(marked).title.replace("\\", "")


def test_the_unknown_token_of_each_kind_of_tokenizer() -> None:
    words = {"[UNK]": 0, "a": 1}
    assert unknown_token(Tokenizer(models.WordPiece(words, unk_token="[UNK]"))) == 0
    assert unknown_token(Tokenizer(models.Unigram([("a", 0.0), ("<unk>", 0.0)], unk_id=1))) == 1
    assert unknown_token(Tokenizer(models.BPE({"a": 0}, []))) is None
