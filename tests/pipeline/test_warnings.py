"""A warning of one stage reaches the log, the results, the report and the model card."""

import csv
from pathlib import Path

import pytest

from ordinal.common.files import read_json
from tests.conftest import results_of, run_in, set_params

STAGES = ("download", "split", "tokenize", "baseline", "evaluate", "card")  # all but the training


def write_rare_reviews(path: Path) -> None:
    """Write reviews without spaces, whose labels 4 and 5 are rare, and two blank rows."""
    rows = [(f"{'糟较一舒'[row % 4]}房间{row}", row % 4 + 1) for row in range(120) if row % 4 != 3]
    rows += [("舒房间", 4)] * 9 + [("完美房间", 5)] * 2 + [("", "")] * 2
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("review", "stars"), *rows])


@pytest.fixture
def warned(finished_project: Path) -> tuple[Path, str]:
    """A project that evaluated an old model on such reviews, and what the stages printed."""
    write_rare_reviews(finished_project / "data/own/small.csv")
    printed = ""
    for stage in STAGES:
        run = run_in(finished_project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr
        printed += run.stdout
    return finished_project, printed


def test_a_warning_reaches_every_reader(warned: tuple[Path, str]) -> None:
    project, printed = warned
    details = read_json(project / "metrics/details.json")
    warnings = details["split"]["warnings"]
    assert len(warnings) >= 2
    assert "has the label 5, so" in warnings[0]
    assert "Set split.method to stratified" in warnings[0]
    assert warnings[-1].startswith("Labels with fewer than 10 rows: 4 (9), 5 (2).")
    assert details["data"]["dropped"] == {"blank rows": 2}
    assert details["baseline"]["tfidf"]["features"] == "characters"
    assert set(read_json(project / "metrics/metrics.json")) <= {
        *("train", "validation", "test", "interval", "baseline")
    }

    results = run_in(project, "ordinal", "results", COLUMNS="100")
    report = run_in(project, "ordinal", "report")
    assert (results.returncode, report.returncode) == (0, 0), results.stderr + report.stderr
    assert "TF-IDF (characters)" in results.stdout
    page = (project / "report.html").read_text(encoding="utf-8")
    card = (project / "metrics/model_card.md").read_text(encoding="utf-8")
    for text in (printed, results.stdout, page, card):
        for warning in warnings:
            assert warning in " ".join(text.split())
    for text in (results.stdout, page, card):
        assert "Rows that were dropped: blank rows (2)." in " ".join(text.split())
        assert "TF-IDF (characters)" in text
    for text in (page, card):
        assert "a logistic regression on sequences of 1 to 3 characters." in " ".join(text.split())


def test_stratified_refuses_too_few_rows_and_writes_nothing(finished_project: Path) -> None:
    write_rare_reviews(finished_project / "data/own/small.csv")
    set_params(finished_project, {"split.method": "stratified"})
    assert run_in(finished_project, "python", "-m", "stages.download").returncode == 0
    before = results_of(finished_project)
    run = run_in(finished_project, "python", "-m", "stages.split")
    assert run.returncode == 1
    assert run.stderr == (
        "error: split.method is stratified, but fewer than 3 rows have the label 5: add rows, or "
        "merge the label with one next to it\n"
    )
    assert results_of(finished_project) == before


def test_a_stratified_split_has_no_label_missing(finished_project: Path) -> None:
    path = finished_project / "data/own/small.csv"
    write_rare_reviews(path)
    path.write_text(path.read_text(encoding="utf-8") + "完美房间,5\n", encoding="utf-8")
    set_params(finished_project, {"split.method": "stratified"})
    for stage in ("download", "split"):
        run = run_in(finished_project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr
    counts = read_json(finished_project / "metrics/split.json")
    assert counts["rows"] == {"train": 70, "validation": 11, "test": 21}
    rare, repeated = counts["warnings"]
    assert rare.startswith("Labels with fewer than 10 rows: 4 (9), 5 (3).")
    assert "of 21 test rows" in repeated
    assert "have a text that is also in an earlier part" in repeated
    for warning in (rare, repeated):
        assert f"split: warning: {warning}\n" in run.stdout


def test_a_run_without_anything_to_warn_about_has_no_warning(finished_project: Path) -> None:
    assert set(read_json(finished_project / "metrics/split.json")) == {
        *("rows", "duplicates_of_earlier_parts", "near_duplicates_of_earlier_parts")
    }
    details = read_json(finished_project / "metrics/details.json")
    assert set(details["data"]) == {"name", "synthetic", "rows"}
    assert "Warning" not in run_in(finished_project, "ordinal", "results").stdout
    assert "Warning" not in (finished_project / "metrics/model_card.md").read_text()
