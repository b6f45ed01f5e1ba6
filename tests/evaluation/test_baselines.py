"""The baselines, with and without something to learn, and their stage in chunks."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordinal.common.files import read_json, write_json
from ordinal.distributions.decoding import decode
from ordinal.evaluation.baselines import TextModel, class_shares, tfidf_logistic_regression
from stages import baseline
from tests.conftest import ROOT

LABELS = np.array([0, 0, 1, 2, 2, 2])


def test_class_shares_decode_to_the_median_of_the_training_labels() -> None:
    shares = class_shares(LABELS, rows=2, classes=4)
    assert shares.tolist() == [[2 / 6, 1 / 6, 3 / 6, 0]] * 2
    assert decode(shares).tolist() == [1, 1]  # the lowest class that reaches one half


def test_tfidf_learns_words_and_gives_unseen_classes_probability_zero() -> None:
    texts = ["bad bed", "bad", "plain bed", "good", "good bed", "very good"]
    probabilities = tfidf_logistic_regression(texts, LABELS, classes=4)(["bad", "good"])
    assert decode(probabilities, "mode").tolist() == [0, 2]
    assert (probabilities[:, 3] == 0).all()


def test_with_nothing_to_learn_tfidf_predicts_the_class_shares() -> None:
    shares = class_shares(LABELS, rows=1, classes=3)
    alone = [f"word{row}" for row in range(6)]
    np.testing.assert_array_equal(tfidf_logistic_regression(alone, LABELS, 3)(["x"]), shares)
    one = np.full(6, 1)
    only = tfidf_logistic_regression(["good bed"] * 6, one, 3)(["x"])
    np.testing.assert_array_equal(only, [[0, 1, 0]])


def test_the_stage_samples_training_rows_and_predicts_in_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/split").mkdir(parents=True)
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    write_json(tmp_path / "data/raw/facts.json", {"labels": ["1", "2"]})
    for part, rows in (("train", 40), ("test", 6)):
        texts = [f"{('bad', 'good')[row % 2]} room" for row in range(rows)]
        labels = pa.array([row % 2 for row in range(rows)], pa.int32())
        columns = pa.table({"text": texts, "label": labels})
        pq.write_table(columns, tmp_path / f"data/split/{part}.parquet")
    monkeypatch.chdir(tmp_path)
    learned = []

    def learn(texts: list[str], labels: np.ndarray, classes: int) -> TextModel:
        assert [text.startswith("good") for text in texts] == labels.tolist()
        learned.append(len(texts))
        return tfidf_logistic_regression(texts, labels, classes)

    monkeypatch.setattr(baseline, "tfidf_logistic_regression", learn)
    results = []
    for most, chunk in ((50, 100), (15, 100), (15, 4)):
        monkeypatch.setattr(baseline, "MAX_TRAINING_ROWS", most)
        monkeypatch.setattr(baseline, "ROWS_PER_CHUNK", chunk)
        baseline.main()
        results.append(read_json(tmp_path / "metrics/baseline.json"))
    assert learned == [40, 15, 15]
    assert results[1] == results[2]
    assert [result["tfidf"]["mae"] for result in results] == [0, 0, 0]
