"""`ordinal audit`: distributions of all folds, the ranked table, and the runs."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.evaluation.predictions import predictions_table
from ordinal.experiments import audit as audits
from ordinal.experiments import revisions
from ordinal.experiments.audit import out_of_fold, rank
from tests.conftest import console_commands, run_as_shown, run_in, set_params

PAGE = "docs/own-data.md"
NAMES = ["low", "medium", "high"]


def fold(rows: list[int], labels: list[int], seed: int) -> pd.DataFrame:
    """Random predictions of some rows."""
    probabilities = np.random.default_rng(seed).dirichlet([1, 1, 1], len(rows))
    none = np.zeros(len(rows), np.int64)
    where = np.array(rows), np.array(labels)
    return predictions_table(*where, none, (none, none), probabilities, NAMES)


def test_the_distribution_of_a_row_is_the_mean_over_the_seeds_of_its_fold() -> None:
    runs = {
        "first": [fold([3, 0], [1, 2], seed) for seed in (1, 2)],
        "second": [fold([2, 1], [0, 1], seed) for seed in (3, 4)],
    }
    found = out_of_fold(runs)
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert found.labels.tolist() == [2, 1, 0, 1]
    of_row_3 = sum(table.loc[0, ["p_low", "p_medium", "p_high"]] for table in runs["first"]) / 2
    np.testing.assert_allclose(found.probabilities[3], of_row_3.to_numpy(float))


def test_runs_of_different_rows_are_refused() -> None:
    with pytest.raises(UserError, match="a row is in two folds"):
        out_of_fold({"first": [fold([0, 1], [0, 0], 1)], "second": [fold([1, 2], [0, 0], 1)]})
    with pytest.raises(UserError, match="the seeds of first were tested on different rows"):
        out_of_fold({"first": [fold([0, 1], [0, 0], 1), fold([0, 2], [0, 0], 1)]})


def test_the_suggested_labels_have_the_least_expected_cost() -> None:
    chances = np.array([[0.9, 0.1, 0], [0.5, 0.4, 0.1]])
    found = audits.OutOfFold(np.array([0, 1]), np.array([0, 1]), chances)
    reviews = pd.DataFrame({"row": [0, 1], "text": ["a", "b"], "label": [0, 1]})
    costs = [[0.0, 1, 2], [50, 0, 1], [90, 50, 0]]
    suggested = rank(found, reviews, NAMES, "cost", costs).table.set_index("row")["suggested"]
    assert suggested.to_dict() == {0: "medium", 1: "high"}


def test_the_rows_are_ranked_and_keep_their_columns() -> None:
    found = audits.OutOfFold(
        rows=np.array([0, 1, 2]),
        labels=np.array([0, 2, 1]),
        probabilities=np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.6, 0.3, 0.1]]),
    )
    reviews = pd.DataFrame(
        {
            "row": [2, 0, 1],
            "text": ["c", "a", "b"],
            "label": [1, 0, 2],
            "score": ["z", "x", "y"],
            "id": [12, 10, 11],
        }
    )
    audit = rank(found, reviews, NAMES, "median")
    assert audit.table.to_dict("list") == {
        "row": [1, 2, 0],
        "score_in_file": ["y", "z", "x"],
        "id": [11, 12, 10],
        "text": ["b", "c", "a"],
        "label": ["high", "medium", "low"],
        "suggested": ["low", "low", "low"],
        "score": [0.86, 0.02, -0.04],
        "correction": ["", "", ""],
    }
    assert audit.differs.tolist() == [1, 1, 0]


def test_an_audit_writes_a_safe_table_a_chart_and_figures_and_keeps_corrections(
    finished_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three folds are parts of the finished run, in place of experiments."""
    parts = {"train": ["train"], "validation": ["validation"], "test": ["test"]}
    read = {"predictions": revisions.predictions, "reviews": revisions.reviews}
    monkeypatch.setattr(audits, "train_folds", lambda *_: parts)
    for name, function in read.items():
        monkeypatch.setattr(revisions, name, partial(of_part, function))
    monkeypatch.setattr(revisions, "label_names", lambda _: list("12345"))
    run = run_in(finished_project, "ordinal", "audit")
    assert run.returncode == 0, run.stderr
    assert "Estimated share of wrong labels: " in run.stdout
    table = pd.read_csv(finished_project / "data/audit/labels.csv")
    assert list(table) == ["row", "text", "label", "suggested", "score", "correction"]
    assert sorted(table["row"]) == list(range(120))
    assert table["score"].is_monotonic_decreasing
    chart = (finished_project / "metrics/audit/scores.svg").read_text(encoding="utf-8")
    assert "the suggested label" in chart
    figures = json.loads((finished_project / "metrics/audit/audit.json").read_text())
    assert figures["rows"] == 120
    assert figures["wrong_share"]["rows"] == 12
    assert len(pd.read_parquet(finished_project / "metrics/audit/folds.parquet")) == 120
    assert run_in(finished_project, "git", "status", "--porcelain").stdout == "?? metrics/audit/\n"

    assert run_in(finished_project, "ordinal", "audit").returncode == 0
    path = finished_project / "data/audit/labels.csv"
    table.loc[0, "correction"] = 3
    table.to_csv(path, index=False)
    before = path.read_bytes()
    refused = run_in(finished_project, "ordinal", "audit")
    assert refused.returncode == 1
    assert "data/audit/labels.csv has corrections" in refused.stderr
    assert path.read_bytes() == before


def of_part(read: Callable[[str, str], pd.DataFrame], part: str) -> pd.DataFrame:
    return read("workspace", part)


@pytest.mark.slow
def test_the_commands_of_the_guide_train_the_folds_once_and_correct_labels(
    finished_project: Path,
) -> None:
    find, apply = (line for line in console_commands(PAGE) if line.startswith("ordinal audit"))
    printed = run_as_shown(finished_project, f"{find} --folds 2 --jobs 2")
    assert "audit: 2 of 2: fold-" in printed
    list_runs = "dvc", "exp", "list", "--name-only"
    names = run_in(finished_project, *list_runs).stdout.split()
    assert len(names) == 2
    path = finished_project / "data/audit/labels.csv"
    before = path.read_bytes()
    run_as_shown(finished_project, f"{find} --folds 2")
    assert path.read_bytes() == before
    assert run_in(finished_project, *list_runs).stdout.split() == names

    table = pd.read_csv(path)
    assert sorted(table["row"]) == list(range(120))
    table["correction"] = table["suggested"].where(table.index == 0)
    table.to_csv(path, index=False)
    printed = run_as_shown(finished_project, apply)
    assert printed.endswith("To train on it: dvc exp run -S data.name=small-corrected\n")
    assert (finished_project / "data/own/small-corrected.parquet").is_file()


def test_a_split_without_folds_is_refused(finished_project: Path) -> None:
    set_params(finished_project, {"split.method": "given", "split.column": "part"})
    run = run_in(finished_project, "ordinal", "audit")
    assert run.returncode == 1
    assert "--folds: split: method given has no folds: set fold to null" in run.stderr
