"""The comparison of a report with another run: changes, parameters, escaping, and refusals."""

from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.evaluation.predictions import probability_names
from ordinal.evaluation.results import format_number
from ordinal.experiments.comparison import compare
from ordinal.reporting.against import (
    MAX_CHANGED,
    OtherRun,
    changed_reviews,
    compare_runs,
    different_parameters,
)
from ordinal.reporting.report import report
from ordinal.reporting.run import Run, join_texts, read_run
from tests.conftest import git, run_in, set_params
from tests.reporting.test_report import MARKUP, Page, marked


def shuffled(run: Run) -> OtherRun:
    """A run with random predictions, the probabilities of other rows, and another seed."""
    draw = np.random.default_rng(0)
    table = run.predictions.drop(columns="text")
    order, names = draw.permutation(len(table)), probability_names(table)
    other = table.assign(**{name: table[name].to_numpy()[order] for name in names})
    other["predicted"] = draw.integers(5, size=len(table))
    parameters = run.parameters | {"split": run.parameters["split"] | {"seed": 7, "new": None}}
    return OtherRun(MARKUP[0], other, parameters)


@pytest.fixture
def run(finished_project: Path) -> Run:
    return read_run(finished_project)


def test_changed_reviews_are_those_of_a_plain_loop(run: Run) -> None:
    other = shuffled(run)
    pairs = zip(
        run.predictions.to_dict("records"), other.predictions.to_dict("records"), strict=True
    )
    expected = []
    for this, before in pairs:
        truth = this["label"]
        change = abs(this["predicted"] - truth) - abs(before["predicted"] - truth)
        spread = [
            sum(float(row[f"p_{k + 1}"]) * abs(k - truth) for k in range(5))
            for row in (this, before)
        ]
        if this["predicted"] != before["predicted"]:
            expected.append((change, spread[0] - spread[1], this["row"]))
    expected.sort()
    found = changed_reviews(run.predictions, other.predictions)
    assert found["row"].tolist() == [row for _, _, row in expected]
    assert found["change"].tolist() == [change for change, _, _ in expected]
    first = found.iloc[0]
    assert first["p_this"] == pytest.approx(first[f"p_{first['label'] + 1}"])
    compared = compare_runs(run, other)
    assert compared.better["row"].tolist() == [row for change, _, row in expected if change < 0]
    worse = [row for change, _, row in expected if change > 0]
    assert compared.worse["row"].tolist() == worse[::-1]


def test_costs_of_this_run_judge_the_other_one_too(run: Run) -> None:
    other = shuffled(run)
    texts = run.predictions[["row", "label", "text"]]
    predictions = run.predictions.drop(columns="text")
    assert "cost" not in compare_runs(run, other).differences
    predictions.attrs["costs"] = (3 * (1 - np.eye(5))).tolist()
    cost = compare_runs(replace(run, predictions=join_texts(texts, predictions)), other).differences
    labels = predictions["label"].to_numpy()
    errors = (table["predicted"].to_numpy() != labels for table in (other.predictions, predictions))
    assert [cost["cost"].first, cost["cost"].second] == pytest.approx(
        [3 * error.mean() for error in errors]
    )


def test_parameters_that_differ_have_both_values() -> None:
    this = {"data": {"name": "demo", "keep": []}, "train": {"lr": 0.1, "seed": 1}}
    other = {"data": {"name": "demo", "keep": None}, "train": {"lr": 0.2, "seed": 1, "old": 3}}
    assert different_parameters(this, other) == [
        ("data.keep", "[]", "none"),
        ("train.lr", "0.1", "0.2"),
        ("train.old", "–", "3"),
    ]
    assert different_parameters(this, this) == []


def test_the_page_has_the_numbers_of_compare_and_escapes_all_text(run: Run) -> None:
    other = shuffled(run)
    page, plain = Page(report(marked(run), other=other)), Page(report(marked(run)))
    heading = ("metric", MARKUP[0], "this run", "difference", "95\N{NO-BREAK SPACE}% interval", "p")
    rows = page.table(*heading)[::2]
    figures = compare(other.predictions, run.predictions)
    assert [row[0] for row in rows] == list(figures)
    for (name, first, second, difference, interval, p_value), one in zip(
        rows, figures.values(), strict=True
    ):
        assert (first, second) == (format_number(one.first), format_number(one.second)), name
        shown = [difference, *interval.split("\N{NO-BREAK SPACE}to ")]
        for cell, value in zip(shown, (one.difference, one.low, one.high), strict=True):
            assert (
                cell == "–"
                if isnan(value)
                else float(cell.replace("−", "-")) == pytest.approx(value, abs=6e-5)
            )
        assert p_value == ("–" if isnan(one.p_value) else f"{one.p_value:.3f}")
    assert ["split.seed", "7", str(run.parameters["split"]["seed"])] in page.table(
        "parameter", MARKUP[0], "this run"
    )
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert {*page.quotes} <= {*MARKUP}
    assert len(plain.quotes) < len(page.quotes) <= len(plain.quotes) + 2 * MAX_CHANGED
    assert "comparison" not in plain.sections
    assert report(run, other=other) == report(run, other=other)


def test_a_run_compared_with_itself_says_so(finished_project: Path) -> None:
    command = run_in(finished_project, "ordinal", "report", "--against", "HEAD")
    assert command.returncode == 0, command.stderr
    text = (finished_project / "report.html").read_text(encoding="utf-8")
    section = Page(text).sections["comparison"]
    for sentence in ("Both runs have the same parameters.", "The interval contains 0", "are none"):
        assert sentence in section


def test_the_parameters_of_the_other_run_are_those_of_its_lock(finished_project: Path) -> None:
    lock = finished_project / "dvc.lock"
    original = lock.read_text(encoding="utf-8")
    lock.write_text(original.replace("lr: 0.003", "lr: 0.5"), encoding="utf-8")
    git(finished_project, "commit --quiet -a -m Other", "tag other")
    lock.write_text(original, encoding="utf-8")
    set_params(finished_project, {"train.lr": 0.9})  # an edit that has not run
    command = run_in(finished_project, "ordinal", "report", "--against", "other")
    assert command.returncode == 0, command.stderr
    page = Page((finished_project / "report.html").read_text(encoding="utf-8"))
    assert page.table("parameter", "other", "this run") == [["train.lr", "0.5", "0.003"]]


def test_an_unknown_revision_is_one_sentence(finished_project: Path) -> None:
    command = run_in(finished_project, "ordinal", "report", "--against", "nowhere")
    assert command.returncode == 1
    assert command.stderr.startswith("error: the predictions of 'nowhere' can't be read (")
    assert command.stderr.count("\n") == 1
    assert not (finished_project / "report.html").exists()


def test_a_run_without_predictions_in_the_cache_is_one_sentence(finished_project: Path) -> None:
    (finished_project / ".dvc/cache").rename(finished_project / "gone")
    command = run_in(finished_project, "ordinal", "report", "--against", "HEAD")
    assert command.returncode == 1
    assert command.stderr.startswith("error: the predictions of 'HEAD' can't be read (")
    assert "its data is in DVC's cache or remote" in command.stderr
    assert command.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda table: table.iloc[:-1], "tested on different rows"),
        (lambda table: table.assign(label=4 - table["label"]), "tested on different rows"),
        (lambda table: table.assign(p_6=0.0), "predict different labels"),
    ],
    ids=["rows", "labels of rows", "labels"],
)
def test_a_run_with_other_rows_or_labels_is_refused(
    change: object, complaint: str, run: Run
) -> None:
    other = shuffled(run)
    changed: pd.DataFrame = change(other.predictions)  # type: ignore[operator]
    with pytest.raises(UserError, match=complaint):
        compare_runs(run, replace(other, predictions=changed))
