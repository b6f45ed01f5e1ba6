"""Tokenization: as transformers does it, cut where it is told to, never padded."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordinal.errors import UserError
from ordinal.files import read_json, write_json
from ordinal.tokenizer import load_tokenizer
from ordinal.tokens import tokenize

TEXTS = ["good room", "the staff was awful the bed was poor", "", "superb 12"]


def write(path: Path) -> Path:
    table = {"row": [7, 8, 9, 10], "text": TEXTS, "label": pa.array([3, 0, 2, 4], pa.int32())}
    pq.write_table(pa.table(table), path)
    return path


def test_tokens_are_those_of_transformers_cut_and_counted(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    source, out = write(tmp_path / "texts.parquet"), tmp_path / "tokens.parquet"
    facts = tokenize(source, load_tokenizer(tiny_encoder, max_length=6), out)
    oracle = AutoTokenizer.from_pretrained(tiny_encoder)
    expected = oracle(TEXTS, truncation=True, max_length=6)["input_ids"]
    assert pq.read_table(out).to_pydict() == {"input_ids": expected, "label": [3, 0, 2, 4]}
    assert [len(row) for row in expected] == [4, 6, 2, 5]
    assert facts == {"rows": 4, "cut": 1, "mean_tokens": 4.2, "longest": 6}


def test_a_length_and_a_padding_that_a_published_tokenizer_brings_are_put_aside(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        write_json(tmp_path / name, read_json(tiny_encoder / name))
    tokenizer = load_tokenizer(tmp_path, 64)
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=12)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert len(load_tokenizer(tmp_path, 64).encode(TEXTS[1]).ids) == 10


@pytest.mark.parametrize("limit", [32, None, int(1e30)])
def test_more_tokens_than_the_encoder_reads_are_refused(
    limit: int | None, tiny_encoder: Path, tmp_path: Path
) -> None:
    write_json(tmp_path / "config.json", {"max_position_embeddings": 48})
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": limit})
    most = 32 if limit == 32 else 48
    with pytest.raises(UserError, match=f"is {most + 1}: this encoder reads at most {most} tokens"):
        load_tokenizer(tmp_path, most + 1)
