"""From text to token ids, each row as long as its review: padding is the batch's business."""

import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer
from tqdm import tqdm

from ordinal.parquet import open_parquet

PIECE = 2048  # reviews in memory at once, where an encoding takes hundreds of bytes a token
SCHEMA = pa.schema([("input_ids", pa.large_list(pa.int32())), ("label", pa.int32())])


def tokenize(source: Path, tokenizer: Tokenizer, path: Path) -> dict[str, Any]:
    """Turn a Parquet file of `text` and `label` into an Arrow file of `input_ids` and `label`.

    Rows keep their order. Reviews are read and encoded piece by piece, each on all cores. The file
    is one record batch, not packed, so that all its ids are one array, to be mapped into memory.

    Returns counts for the record: rows, how many were cut, and tokens a row.
    """
    reviews = open_parquet(source)
    count = reviews.metadata.num_rows
    offsets, labels = np.zeros(count + 1, np.int64), np.empty(count, np.int32)
    start = cut = 0
    bar = tqdm(total=count, desc=source.name, unit="row", disable=None)
    with tempfile.TemporaryFile(dir=path.parent) as scratch, bar:
        for piece in reviews.iter_batches(PIECE, columns=["text", "label"]):
            encodings = tokenizer.encode_batch_fast(piece["text"].to_pylist())
            ids = [encoding.ids for encoding in encodings]
            scratch.write(np.fromiter(chain.from_iterable(ids), np.int32).tobytes())
            end = start + len(ids)
            offsets[start + 1 : end + 1] = offsets[start] + np.cumsum([len(row) for row in ids])
            labels[start:end] = piece["label"]
            cut += sum(bool(encoding.overflowing) for encoding in encodings)
            bar.update(len(ids))
            start = end
        scratch.flush()
        flat = pa.array(np.memmap(scratch, np.int32, "r"))
        columns = [pa.LargeListArray.from_arrays(offsets, flat), pa.array(labels)]
        # Given a path, it would end the process on a full disk, where this raises an OSError.
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            writer.write_batch(pa.record_batch(columns, SCHEMA))
    return {
        "rows": count,
        "cut": cut,
        "mean_tokens": round(float(offsets[-1] / count), 1),
        "longest": int(np.diff(offsets).max()),
    }
