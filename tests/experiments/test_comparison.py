"""Comparing two runs: a run with itself, a better one, equal ones by chance, and other rows."""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from ordinal.common.errors import UserError
from ordinal.experiments.comparison import compare
from ordinal.reporting.terminal import comparison_table
from tests.conftest import environment, run_in, train_again

CLASSES = 3


def predictions(rows: int, accuracy: float, seed: int) -> pd.DataFrame:
    """A model that is right with a given chance, and otherwise guesses; the labels are fixed."""
    labels = np.random.default_rng(rows).integers(CLASSES, size=rows)
    rng = np.random.default_rng(seed)
    guesses = rng.integers(CLASSES, size=rows)
    predicted = np.where(rng.random(rows) < accuracy, labels, guesses)
    table = pd.DataFrame({"row": np.arange(rows), "label": labels, "predicted": predicted})
    table[[f"p_{k}" for k in range(CLASSES)]] = 0.1 + 0.7 * np.eye(CLASSES)[predicted]
    return table


def test_a_run_does_not_differ_from_itself() -> None:
    run = predictions(100, 0.5, seed=0)
    for figures in compare(run, run, resamples=200).values():
        assert figures.difference == 0
        assert (figures.low, figures.high) == (0, 0)
        assert figures.p_value == 1


def test_a_much_better_run_is_told_from_a_worse() -> None:
    mae = compare(predictions(200, 0.2, seed=1), predictions(200, 0.9, seed=2))["mae"]
    assert mae.difference < 0
    assert mae.high < 0
    assert mae.p_value < 0.01


def test_the_figures_of_the_mae_equal_scipys() -> None:
    first, second = predictions(150, 0.5, seed=1), predictions(150, 0.6, seed=2)
    ours = compare(first, second, resamples=2000)["mae"]
    errors = [(table["predicted"] - table["label"]).abs().to_numpy() for table in (first, second)]
    gain = errors[1] - errors[0]
    theirs = stats.permutation_test(
        (gain,), np.mean, permutation_type="samples", n_resamples=5000, rng=np.random.default_rng(1)
    )
    interval = stats.bootstrap(
        (gain,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert ours.difference == pytest.approx(gain.mean())
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.04)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.slow
def test_equal_models_are_called_different_no_more_often_than_promised() -> None:
    runs = 60
    p_values = [
        compare(
            predictions(40, 0.5, seed=2 * run), predictions(40, 0.5, seed=2 * run + 1), 99, seed=run
        )["mae"].p_value
        for run in range(runs)
    ]
    hits = sum(p_value <= 0.1 for p_value in p_values)
    assert stats.binomtest(hits, runs, 0.1, alternative="greater").pvalue > 0.01
    assert stats.binomtest(hits, runs, 0.1, alternative="less").pvalue > 0.001


@pytest.mark.parametrize("change", ["row", "label"])
def test_runs_over_other_rows_are_refused(change: str) -> None:
    run = predictions(50, 0.5, seed=0)
    other = run.assign(**{change: run[change].to_numpy()[::-1]})
    with pytest.raises(UserError, match="tested on different rows"):
        compare(run, other)
    with pytest.raises(UserError, match=r"different rows \(50 and 49\)"):
        compare(run, run.iloc[:-1])


def test_runs_that_tell_other_labels_apart_are_refused() -> None:
    run = predictions(50, 0.5, seed=0)
    with pytest.raises(UserError, match=r"the two runs predict different labels \(3 and 4\)"):
        compare(run, run.assign(p_3=0.0))


def test_what_has_no_value_is_a_dash_and_a_name_stands_as_it_is() -> None:
    run = predictions(50, 0.5, seed=0).assign(predicted=1)
    console = Console(width=120, file=io.StringIO())
    console.print(comparison_table("[red]", "a[/b]", compare(run, run, resamples=100)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a[/b] against [red], test rows" in shown
    [spearman] = [line for line in shown.splitlines() if "spearman" in line]
    assert "nan" not in spearman
    assert "– to –" in spearman


def test_runs_of_a_project_are_compared_by_revision(finished_project: Path) -> None:
    subprocess.run(["git", "tag", "first"], cwd=finished_project, env=environment(), check=True)
    train_again(finished_project, {"train.lr": 1e-6})
    run = run_in(finished_project, "dvc", "exp", "save", "--name", "slow")
    assert run.returncode == 0, run.stderr

    same = run_in(finished_project, "ordinal", "compare", "first", "first", "--json")
    figures = json.loads(same.stdout)["mae"]
    assert figures["second"] - figures["first"] == 0
    assert figures["p_value"] == 1

    measured = json.loads((finished_project / "metrics/details.json").read_text())["test"]
    for revisions in (["first"], ["first", "slow"]):
        run = run_in(finished_project, "ordinal", "compare", *revisions, "--json")
        figures = json.loads(run.stdout)
        for name, value in measured.items():
            if value is not None:
                assert figures[name]["second"] == pytest.approx(value, abs=1e-6)
        score = figures["rps"]
        assert score["first"] != score["second"]
        assert score["low"] <= score["second"] - score["first"] <= score["high"]

    table = run_in(finished_project, "ordinal", "compare", "first", "slow", "--md").stdout
    assert table.startswith("| metric | first | slow | difference | 95 % interval | p |\n")
    shown = run_in(finished_project, "ordinal", "compare", "first").stdout
    assert "workspace against first, test rows" in shown


@pytest.mark.parametrize("revision", ["nowhere", "HEAD"])
def test_a_run_that_is_not_here_gets_one_clear_sentence(revision: str, project: Path) -> None:
    """There is no such revision; or there is, in a fresh clone without the data."""
    run = run_in(project, "ordinal", "compare", revision)
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: the predictions of '{revision}' can't be read")
    assert run.stderr.count("\n") == 1
