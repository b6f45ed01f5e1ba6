"""The file of a study's runs: what is written is read, and other files are refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ordinal.common.errors import UserError
from ordinal.evaluation.predictions import predictions_table, probabilities_of
from ordinal.experiments.results import read_runs, write_runs
from ordinal.experiments.variants import compare_variants
from tests.conftest import ROOT, run_in

NAMES = ["poor", "p_x", "superb"]


def runs() -> dict[str, list[pd.DataFrame]]:
    draw = np.random.default_rng(0)
    rows = np.arange(40)[::-1]

    def table() -> pd.DataFrame:
        predicted = draw.integers(3, size=40)
        probabilities = draw.dirichlet(np.ones(3), 40).astype(np.float32)
        ends = (predicted, predicted)
        return predictions_table(rows, rows % 3, predicted, ends, probabilities, NAMES)

    return {"a b": [table(), table()], "c": [table(), table()]}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    written, path = runs(), tmp_path / "runs.parquet"
    write_runs(written, path)
    for wanted in (["a b", "c"], ["c", "a b"], ["c"]):
        read = read_runs(path, wanted)
        assert list(read) == wanted
        for name in wanted:
            for table, expected in zip(read[name], written[name], strict=True):
                assert list(table) == ["row", "label", "predicted", "p_poor", "p_p_x", "p_superb"]
                classes = ["row", "label", "predicted"]
                np.testing.assert_array_equal(table[classes], expected[classes])
                np.testing.assert_allclose(
                    probabilities_of(table), probabilities_of(expected), rtol=0, atol=5.001e-5
                )
    assert [len(of_variant) for of_variant in read_runs(path, ["c"], seeds=1).values()] == [1]


def test_the_file_gives_the_same_comparison(tmp_path: Path) -> None:
    written, path = runs(), tmp_path / "runs.parquet"
    write_runs(written, path)
    read = read_runs(path, written)
    assert compare_variants(read, "c", "mae") == compare_variants(written, "c", "mae")
    scores = [
        [each.mean for each in compare_variants(both, "c", "rps")] for both in (read, written)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_the_costs_of_errors_are_written_and_read(tmp_path: Path) -> None:
    written, path = runs(), tmp_path / "runs.parquet"
    costs = [[0.0, 1.0, 2.0], [5.0, 0.0, 1.0], [9.0, 5.0, 0.0]]
    with pytest.raises(UserError, match="the metric is cost, but the runs have no costs of errors"):
        compare_variants(written, "c", "cost")
    for table in written["c"]:
        table.attrs["costs"] = costs
    write_runs(written, path)
    variants = compare_variants(read_runs(path, written), "c", "cost")
    assert variants == compare_variants(written, "c", "cost")
    for variant in variants:
        for table, value in zip(written[variant.name], variant.values, strict=True):
            pairs = zip(table["label"], table["predicted"], strict=True)
            assert value == pytest.approx(sum(costs[a][b] for a, b in pairs) / len(table))
    written["a b"][0].attrs["costs"] = [[0.0] * 3] * 3
    with pytest.raises(UserError, match="or different ones"):
        compare_variants(written, "c", "cost")


def test_the_bytes_depend_on_the_runs_only(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_runs(runs(), tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    write_runs(runs(), path)
    for variants, seeds, message in (
        (["a b", "d"], None, r"runs.parquet has no run of 'd' with seed 1"),
        (["c"], 3, r"runs.parquet has no run of 'c' with seed 3"),
    ):
        with pytest.raises(UserError, match=message):
            read_runs(path, variants, seeds)
    with pytest.raises(UserError, match=r"no.parquet can't be read as Parquet"):
        read_runs(tmp_path / "no.parquet", ["c"])
    (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"cut.parquet can't be read as Parquet"):
        read_runs(tmp_path / "cut.parquet", ["c"])
    runs()["c"][0].to_parquet(tmp_path / "test.parquet")
    with pytest.raises(UserError, match=r"test.parquet is not a file of a study's runs"):
        read_runs(tmp_path / "test.parquet", ["c"])


@pytest.mark.parametrize("study", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_committed_tables_are_those_of_the_committed_runs(study: Path, project: Path) -> None:
    """Anyone with the file of the runs gets the committed table, byte by byte."""
    results = project / "metrics/studies"
    table = results / f"{study.stem}.csv"
    expected = table.read_bytes()
    table.unlink()
    command = (
        "ordinal",
        "study",
        f"studies/{study.name}",
        "--from",
        str(results / f"{study.stem}.parquet"),
    )
    run = run_in(project, *command)
    assert run.returncode == 0, run.stderr
    assert f"{study.stem}: mae of 5 seeds" in run.stdout
    assert table.read_bytes() == expected
    chart = (results / f"{study.stem}.svg").read_bytes()
    assert "rps of 2 seeds" in run_in(project, *command, "--metric", "rps", "--seeds", "2").stdout
    assert table.read_bytes() == expected
    assert (results / f"{study.stem}.svg").read_bytes() == chart
