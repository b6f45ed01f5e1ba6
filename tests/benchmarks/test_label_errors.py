"""The benchmark of label errors: its figures, and all of its ways to run."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import label_errors
from benchmarks.label_errors import figures, hits, moved
from ordinal.data.demo import demo_reviews
from tests.conftest import ROOT


def test_the_figures_of_a_ranking_are_counted_by_hand() -> None:
    wrong = np.array([1, 0, 1, 1, 0, 0, 0, 1])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    found = figures(scores, wrong)
    assert (found.at_k, found.at_half_k, found.recall_at_2k) == (3 / 4, 1 / 2, 1)
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 8) / 4)


def test_ties_count_as_often_as_in_all_orders() -> None:
    wrong = np.array([1, 0, 1, 0, 0])
    scores = np.array([2.0, 1.0, 1.0, 1.0, 0.0])
    orders = [[0, 1], [0, 2], [0, 3]]
    assert hits(scores, wrong, 2) == pytest.approx(np.mean([wrong[rows].sum() for rows in orders]))


@pytest.mark.parametrize("way", label_errors.MOVES)
def test_labels_are_moved_to_others_of_the_scale(way: str) -> None:
    true = np.arange(5).repeat(400)
    given = moved(true, 0.25, way, seed=0)
    assert set(given) == set(range(5))
    if way == "by two":
        assert set(np.abs(given - true)) == {0, 2}
    if way == "to the other end":
        assert set((given + true)[given != true]) == {4}
    in_the_middle = 400 if way == "to the other end" else 0  # the middle is its own other end
    expected = 0.25 * (len(true) - in_the_middle)
    assert (given != true).sum() == pytest.approx(expected, rel=0.15)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of a table, without those of the training."""
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if not line.startswith("train: ")]


def test_the_folds_and_the_corrections_run_on_a_few_rows(
    tiny_encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    params = (ROOT / "params.yaml").read_text().replace("max_length: 512", "max_length: 32")
    (tmp_path / "params.yaml").write_text(params)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(label_errors, "PRETRAINED", tiny_encoder)
    small = ["--rows", "60", "--epochs", "1", "--seeds", "1", "--folds", "2"]
    label_errors.main([*small, "--save", "runs.parquet"])
    trained = printed(capsys)
    moved = sum(review.stars != review.clean_stars for review in demo_reviews()[:60])
    assert trained[0].startswith(f"k = {moved} of 60 labels are wrong")
    assert [line.split(" | ")[0] for line in trained[3:10]] == [
        *(f"| {name}" for name in label_errors.SCORES),
        f"| {label_errors.DISTANCE}",
    ]
    assert trained[10] == (
        "| score | moved to another label at random | by two | to the other end |"
    )
    assert trained[19].startswith("estimated share with seed 1: ")
    label_errors.main(["--rows", "60", "--runs", "runs.parquet"])
    assert printed(capsys)[0] == trained[0]
    label_errors.main([*small, "--apply"])
    lines = printed(capsys)
    assert lines[0] == "seed 1"
    assert [line.split(" | ")[0] for line in lines[3:]] == ["| given", "| corrected"]
