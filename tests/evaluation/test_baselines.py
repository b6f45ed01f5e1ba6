"""The baselines, with and without something to learn, and their stage in chunks."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordinal.common.files import read_json, write_json
from ordinal.data.demo import demo_reviews
from ordinal.distributions.decoding import decode
from ordinal.evaluation.baselines import (
    Features,
    TextModel,
    choose_features,
    class_shares,
    tfidf_logistic_regression,
)
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


CHINESE = {"糟糕": 0, "较差": 0, "一般": 1, "舒适": 2, "完美": 2}
THAI = {"แย่มาก": 0, "ไม่ดี": 0, "ธรรมดา": 1, "ดี": 2, "ดีเยี่ยม": 2}


def unspaced(judgements: dict[str, int], rows: int) -> tuple[list[str], np.ndarray]:
    """Return texts without spaces, and their classes, which one word in each text decides."""
    words = list(judgements)
    draw = np.random.default_rng(0)
    texts = [
        f"{draw.integers(1e9)}{words[row % len(words)]}{draw.integers(1e9)}" for row in range(rows)
    ]
    return texts, np.array([judgements[words[row % len(words)]] for row in range(rows)])


@pytest.mark.parametrize("judgements", [CHINESE, THAI])
def test_tfidf_learns_characters_where_there_are_no_words(judgements: dict[str, int]) -> None:
    texts, labels = unspaced(judgements, 200)
    train, test = slice(0, 150), slice(150, None)
    assert choose_features(texts[train]) == "characters"
    errors = []
    for features in ("words", "characters"):
        predict = tfidf_logistic_regression(texts[train], labels[train], 3, features)
        errors.append(np.abs(decode(predict(texts[test]), "mode") - labels[test]).mean())
    assert errors[0] > 0.5
    assert errors[1] < 0.05


def test_words_are_chosen_where_words_recur() -> None:
    texts = [review.text for review in demo_reviews()]
    for rows in (2500, 100, 40):
        assert choose_features(texts[:rows]) == "words"
    mixed = [*texts[:200], *unspaced(CHINESE, 100)[0]]
    assert choose_features(mixed) == "words"
    assert choose_features(["one text"]) == "words"
    assert choose_features(["?!"] * 100) == "words"


def write_parts(folder: Path, parts: dict[str, tuple[list[str], list[int]]]) -> None:
    (folder / "data/split").mkdir(parents=True)
    (folder / "params.yaml").symlink_to(ROOT / "params.yaml")
    write_json(folder / "data/raw/facts.json", {"labels": ["low", "middle", "high"]})
    for part, (texts, labels) in parts.items():
        columns = pa.table({"text": texts, "label": pa.array(labels, pa.int32())})
        pq.write_table(columns, folder / f"data/split/{part}.parquet")


def test_the_stage_records_that_it_used_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, labels = unspaced(CHINESE, 200)
    parts = {"train": slice(0, 150), "test": slice(150, None)}
    write_parts(
        tmp_path, {part: (texts[rows], labels[rows].tolist()) for part, rows in parts.items()}
    )
    monkeypatch.chdir(tmp_path)
    baseline.main()
    result = read_json(tmp_path / "metrics/baseline.json")
    assert result["tfidf"]["features"] == "characters"
    assert result["tfidf"]["mae"] < 0.1
    assert "warning" not in result["tfidf"]
    assert "baseline: tfidf: features: characters\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        ([f"{word}{row}" for row, word in enumerate("abcdefghij")], [0, 2] * 5),  # nothing recurs
        (["good bed", "bad bed"] * 5, [1] * 10),
    ],
)
def test_a_baseline_that_could_not_learn_is_recorded(
    texts: list[str],
    labels: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_parts(tmp_path, {"train": (texts, labels), "test": (["good", "bad", "ugly"], [0, 1, 2])})
    monkeypatch.chdir(tmp_path)
    baseline.main()
    warning = read_json(tmp_path / "metrics/baseline.json")["tfidf"]["warning"]
    assert warning.startswith("TF-IDF learned nothing that helps: it predicts ")
    assert f"baseline: tfidf: warning: {warning}\n" in capsys.readouterr().out


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

    def learn(texts: list[str], labels: np.ndarray, classes: int, features: Features) -> TextModel:
        assert [text.startswith("good") for text in texts] == labels.tolist()
        learned.append(len(texts))
        return tfidf_logistic_regression(texts, labels, classes, features)

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
