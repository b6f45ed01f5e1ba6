"""Tokenization against transformers: truncated at the maximum length, never padded."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Encoding

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.tokenization import tokens
from ordinal.tokenization.tokenizer import load_tokenizer
from ordinal.tokenization.tokens import Tokens, tokenize
from tests.conftest import run_in

TEXTS = ["good room", "the staff was awful the bed was poor", "", "superb 12"]


def write(path: Path, repeats: int = 1) -> Path:
    labels = pa.array([3, 0, 2, 4] * repeats, pa.int32())
    pq.write_table(pa.table({"text": TEXTS * repeats, "label": labels}), path)
    return path


def test_tokens_equal_those_of_transformers(tiny_encoder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    source, out = write(tmp_path / "texts.parquet"), tmp_path / "tokens.arrow"
    facts = tokenize(source, load_tokenizer(tiny_encoder, max_length=6), out)
    oracle = AutoTokenizer.from_pretrained(tiny_encoder)
    expected = oracle(TEXTS, truncation=True, max_length=6)["input_ids"]
    written = pa.ipc.open_file(out).read_all().to_pydict()
    assert written == {"input_ids": expected, "label": [3, 0, 2, 4]}
    assert [len(row) for row in expected] == [4, 6, 2, 5]
    assert facts == {"rows": 4, "cut": 1, "mean_tokens": 4.2, "longest": 6}


def test_rows_are_encoded_in_chunks_with_the_same_result(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(tiny_encoder, max_length=6)
    source, whole, chunked = (tmp_path / name for name in ("texts.parquet", "whole", "chunked"))
    facts = tokenize(write(source), tokenizer, whole)
    sizes = []

    class Counting:
        def encode_batch_fast(self, texts: list[str]) -> list[Encoding]:
            sizes.append(len(texts))
            return tokenizer.encode_batch_fast(texts)

    monkeypatch.setattr(tokens, "ROWS_PER_CHUNK", 3)
    assert tokenize(source, Counting(), chunked) == facts  # type: ignore[arg-type]
    assert sizes == [3, 1]
    assert chunked.read_bytes() == whole.read_bytes()


def test_the_file_does_not_depend_on_the_number_of_threads(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    write(tmp_path / "texts.parquet", repeats=100)
    for threads in ("1", "3"):
        script = (
            "from pathlib import Path; from ordinal.tokenization.tokens import tokenize; "
            "from ordinal.tokenization.tokenizer import load_tokenizer; "
            f"tokenizer = load_tokenizer(Path({str(tiny_encoder)!r}), 6); "
            f"tokenize(Path('texts.parquet'), tokenizer, Path('tokens.{threads}'))"
        )
        several = {"TOKENIZERS_PARALLELISM": "true", "RAYON_NUM_THREADS": threads}
        run = run_in(tmp_path, sys.executable, "-c", script, **several)
        assert run.returncode == 0, run.stderr
    assert (tmp_path / "tokens.1").read_bytes() == (tmp_path / "tokens.3").read_bytes()


def test_tokens_are_mapped_into_memory(tiny_encoder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokens.arrow"
    tokenize(write(tmp_path / "texts.parquet"), load_tokenizer(tiny_encoder, 6), path)
    loaded = Tokens.load(path)
    content = path.read_bytes()
    first = loaded.ids.tobytes()
    assert content.count(first) == 1
    with path.open("r+b") as file:
        file.seek(content.index(first))
        file.write(np.full(len(loaded.ids), 7, np.int32).tobytes())
    assert set(loaded.ids) == {7}


def test_the_published_length_and_padding_are_ignored(tiny_encoder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer_config.json", "tokenizer.json"):
        write_json(tmp_path / name, read_json(tiny_encoder / name))
    tokenizer = load_tokenizer(tmp_path, 64)
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=12)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert len(load_tokenizer(tmp_path, 64).encode(TEXTS[1]).ids) == 10


@pytest.mark.parametrize("limit", [32, None, int(1e30)])
def test_a_length_beyond_the_encoders_is_refused(
    limit: int | None, tiny_encoder: Path, tmp_path: Path
) -> None:
    write_json(tmp_path / "config.json", {"max_position_embeddings": 48})
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": limit})
    most = 32 if limit == 32 else 48
    with pytest.raises(
        UserError, match=f"is {most + 1}, but this encoder reads at most {most} tokens"
    ):
        load_tokenizer(tmp_path, most + 1)
