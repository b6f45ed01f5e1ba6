"""The benchmark of int8 files compares all of its choices with fp32."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import int8
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.tokenization.tokenizer import load_tokenizer, save_tokenizer
from ordinal.tokenization.tokens import tokenize
from tests.conftest import WORDS
from tests.tiny import scores_of


def test_each_choice_is_compared_with_fp32(
    tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"the {WORDS[row % 5]} room was {row}" for row in range(40)]
    labels = pa.array([row % 5 for row in range(40)], pa.int32())
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "reviews.parquet")
    for part in ("validation", "test"):
        tokenizer = load_tokenizer(tiny_encoder, 16)
        tokenize(tmp_path / "reviews.parquet", tokenizer, tmp_path / f"{part}.arrow")
    save_tokenizer(tiny_encoder, 16, tmp_path)
    model = new_classifier(tiny_encoder, WORDS, "emd")
    save_classifier(
        model, Calibration(1.0, scores_of([0.5] * 40, 5)), tmp_path, "", tmp_path / "model"
    )
    int8.main(tmp_path / "model", tmp_path)
    first, whole, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("arguments ")
    assert whole.split()[0] == "fp32"
    assert whole.split()[2] == "1.00"
    assert whole.split()[4] == "0.000"
    assert [row[:30].strip() for row in rows] == [*int8.CHOICES]
