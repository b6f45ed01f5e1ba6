"""Test the comparison of two runs: figures, false positives, refusals, and the command."""

import io
import json
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from ordinal.common.errors import UserError
from ordinal.evaluation.metrics import all_metrics
from ordinal.experiments import comparison
from ordinal.experiments.comparison import compare
from ordinal.reporting.comparisons import comparison_table
from tests.conftest import environment, run_in, train_again

CLASSES = 3


def predictions(rows: int, accuracy: float, seed: int) -> pd.DataFrame:
    """Predictions that are right with the given probability, else guesses, for fixed labels."""
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


def test_costs_of_errors_are_compared_if_a_run_has_them() -> None:
    first, second = predictions(100, 0.5, seed=0), predictions(100, 0.5, seed=1)
    assert "cost" not in compare(first, second, resamples=100)
    costs = np.array([[0, 1, 2], [5, 0, 1], [9, 5, 0]])
    second.attrs["costs"] = costs.tolist()
    found = compare(first, second, resamples=100)["cost"]
    assert found.first == pytest.approx(costs[first["label"], first["predicted"]].mean())
    assert found.second == pytest.approx(costs[second["label"], second["predicted"]].mean())
    first.attrs["costs"] = (2 * costs).tolist()
    assert "cost" not in compare(first, second, resamples=100)


def test_a_much_better_run_is_significantly_better() -> None:
    mae = compare(predictions(200, 0.2, seed=1), predictions(200, 0.9, seed=2))["mae"]
    assert mae.difference < 0
    assert mae.high < 0
    assert mae.p_value < 0.01


def tables_of(
    labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray
) -> list[pd.DataFrame]:
    """Tables of predictions of two models, whose arrays are stacked in the first axis."""
    return [
        pd.DataFrame(
            {"row": np.arange(len(labels)), "label": labels, "predicted": predicted[model]}
            | {f"p_{k}": probabilities[model, :, k] for k in range(probabilities.shape[2])}
        )
        for model in range(2)
    ]


def differences_of_swaps(
    labels: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, swaps: np.ndarray
) -> dict[str, np.ndarray]:
    """Differences of all metrics for each row of `swaps`, which says which rows are swapped."""
    found: dict[str, list[float]] = {}
    for swap in swaps:
        metrics = []
        for model in range(2):
            labels_of = np.empty_like(labels)
            distributions = np.empty_like(probabilities[0])
            for row, swapped in enumerate(swap):
                source = 1 - model if swapped else model
                labels_of[row] = predicted[source, row]
                distributions[row] = probabilities[source, row]
            metrics.append(all_metrics(labels, labels_of, distributions))
        for name in metrics[0]:
            found.setdefault(name, []).append(metrics[1][name] - metrics[0][name])
    return {name: np.array(values) for name, values in found.items()}


def two_models(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random labels, and random predictions of two models."""
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % CLASSES
    predicted = rng.integers(CLASSES, size=(2, rows))
    return labels, predicted, rng.dirichlet(np.ones(CLASSES), size=(2, rows))


def test_the_p_value_of_few_rows_is_the_share_of_all_swaps_that_differ_as_much() -> None:
    """A plain loop over all swaps, for every metric."""
    rows = 6
    labels, predicted, probabilities = two_models(rows, seed=1)
    swaps = np.array([*product((False, True), repeat=rows)])
    expected = differences_of_swaps(labels, predicted, probabilities, swaps)
    compared = compare(*tables_of(labels, predicted, probabilities), resamples=100)
    for name, figures in compared.items():
        share = np.mean(np.abs(expected[name]) >= abs(figures.difference) - 1e-9)
        assert figures.p_value == pytest.approx(share), name
    assert len({figures.p_value for figures in compared.values()}) > 3


def test_the_p_value_of_many_rows_is_estimated_from_random_swaps() -> None:
    rows, resamples = 60, 400
    labels, predicted, probabilities = two_models(rows, seed=2)
    swaps = np.random.default_rng(5).random((resamples, rows)) < 0.5
    expected = differences_of_swaps(labels, predicted, probabilities, swaps)
    first, second = tables_of(labels, predicted, probabilities)
    for name, figures in compare(first, second, resamples).items():
        share = np.mean(np.abs(expected[name]) >= abs(figures.difference) - 1e-9)
        assert figures.p_value == pytest.approx(share, abs=0.1), name


def test_the_observed_case_counts_as_one_of_the_permutations() -> None:
    worst = predictions(200, 0.0, seed=1).assign(predicted=lambda table: 2 - table["label"])
    best = worst.assign(predicted=worst["label"])
    assert compare(worst, best, resamples=99)["mae"].p_value == pytest.approx(1 / 100)


def test_the_interval_of_the_mae_is_that_of_a_plain_loop() -> None:
    first, second = predictions(150, 0.5, seed=1), predictions(150, 0.6, seed=2)
    figures = compare(first, second, resamples=1000)["mae"]
    errors = [(table["predicted"] - table["label"]).abs().to_numpy() for table in (first, second)]
    gain = errors[1] - errors[0]
    rng = np.random.default_rng(1)
    means = [gain[rng.integers(150, size=150)].mean() for _ in range(1000)]
    assert figures.difference == pytest.approx(gain.mean())
    assert (figures.low, figures.high) == pytest.approx(np.percentile(means, (2.5, 97.5)), abs=0.03)


def test_equal_models_differ_significantly_no_more_often_than_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def only_mae(
        labels: np.ndarray, predicted: np.ndarray, _: np.ndarray, costs: object = None
    ) -> dict[str, float]:
        return {"mae": np.abs(labels - predicted).mean()}

    # The other metrics, which are tested and resampled alike, would take 30 times as long.
    monkeypatch.setattr(comparison, "all_metrics", only_mae)
    runs = 200
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


def test_runs_with_different_labels_are_refused() -> None:
    run = predictions(50, 0.5, seed=0)
    with pytest.raises(UserError, match=r"the two runs predict different labels \(3 and 4\)"):
        compare(run, run.assign(p_3=0.0))


def test_an_undefined_metric_is_a_dash_and_a_name_is_not_markup() -> None:
    run = predictions(50, 0.5, seed=0).assign(predicted=1)
    console = Console(width=120, file=io.StringIO())
    console.print(comparison_table("[red]", "a[/b]", compare(run, run, resamples=100)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a[/b] compared with [red], test rows" in shown
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
    assert "workspace compared with first, test rows" in shown


@pytest.mark.parametrize("revision", ["nowhere", "HEAD"])
def test_an_unknown_run_is_refused_in_one_sentence(revision: str, project: Path) -> None:
    """The revision does not exist; or it exists, but the clone lacks its data."""
    run = run_in(project, "ordinal", "compare", revision)
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: the predictions of '{revision}' can't be read")
    assert run.stderr.count("\n") == 1
