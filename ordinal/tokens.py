"""From text to token ids, each row as long as its review: padding is the batch's business."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

FEATURES = datasets.Features(
    {
        "input_ids": datasets.List(datasets.Value("int32")),
        "label": datasets.Value("int32"),
        "cut": datasets.Value("bool"),
    }
)


def tokenize(source: Path, tokenizer: Tokenizer, path: Path) -> dict[str, Any]:
    """Turn a Parquet file of `text` and `label` into one of `input_ids` and `label`, row by row.

    Memory-mapped throughout: the texts are never all in memory.

    Returns counts for the record: rows, how many were cut, and tokens a row.
    """
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()

    def encode(batch: dict[str, Any]) -> dict[str, Any]:
        encodings = tokenizer.encode_batch_fast(batch["text"])
        return {
            "input_ids": [encoding.ids for encoding in encodings],
            "cut": [bool(encoding.overflowing) for encoding in encodings],
        }

    with tempfile.TemporaryDirectory(dir=path.parent) as cache:
        texts = datasets.Dataset.from_parquet(
            str(source), columns=["text", "label"], cache_dir=cache
        )
        tokens = texts.map(
            encode,
            batched=True,
            remove_columns="text",
            features=FEATURES,
            new_fingerprint="unused",  # the default pickles the tokenizer to compute one
            desc=source.name,
        )
        cut = int(sum(tokens["cut"]))
        # Given a path, it would end the process on a full disk, where this raises an OSError.
        with pa.OSFile(str(path), "wb") as file:
            tokens.remove_columns("cut").to_parquet(file)
    lengths = pc.list_value_length(pq.read_table(path, columns=["input_ids"])["input_ids"])
    return {
        "rows": len(lengths),
        "cut": cut,
        "mean_tokens": round(pc.mean(lengths).as_py(), 1),
        "longest": pc.max(lengths).as_py(),
    }
