"""Token ids of reviews: written unpadded by `tokenize`, read and padded by `Tokens`."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer
from tqdm import tqdm

from ordinal.common.choices import Truncation
from ordinal.common.parquet import open_parquet
from ordinal.common.types import Padded, Rows
from ordinal.tokenization.truncation import truncated_ids

ROWS_PER_CHUNK = 2048  # few, because an encoding takes hundreds of bytes per token
SCHEMA = pa.schema([("input_ids", pa.large_list(pa.int32())), ("label", pa.int32())])


def tokenize(
    source: Path, tokenizer: Tokenizer, path: Path, truncation: Truncation = "head"
) -> dict[str, Any]:
    """Convert a Parquet file of `text` and `label` to an Arrow file of `input_ids` and `label`.

    Rows keep their order. Reviews are read and encoded in chunks, each on all cores. The Arrow file
    has one uncompressed record batch, so that all token ids are one array that `Tokens.load` can
    map into memory.

    Returns:
        Counts: `rows`, how many were `cut`, their `mean_tokens`, and the tokens of the `longest`.
    """
    reviews = open_parquet(source)
    count = reviews.metadata.num_rows
    offsets, labels = np.zeros(count + 1, np.int64), np.empty(count, np.int32)
    start = cut = 0
    bar = tqdm(total=count, desc=source.name, unit="row", disable=None)
    with tempfile.TemporaryFile(dir=path.parent) as scratch, bar:
        for chunk in reviews.iter_batches(ROWS_PER_CHUNK, columns=["text", "label"]):
            encodings = tokenizer.encode_batch_fast(chunk["text"].to_pylist())
            ids = [truncated_ids(encoding, truncation) for encoding in encodings]
            scratch.write(np.fromiter(chain.from_iterable(ids), np.int32).tobytes())
            end = start + len(ids)
            offsets[start + 1 : end + 1] = offsets[start] + np.cumsum([len(row) for row in ids])
            labels[start:end] = chunk["label"]
            cut += sum(bool(encoding.overflowing) for encoding in encodings)
            bar.update(len(ids))
            start = end
        scratch.flush()
        flat = pa.array(np.memmap(scratch, np.int32, "r"))
        columns = [pa.LargeListArray.from_arrays(offsets, flat), pa.array(labels)]
        # On a full disk this raises an OSError; given a path, pyarrow would end the process.
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            writer.write_batch(pa.record_batch(columns, SCHEMA))
    return {
        "rows": count,
        "cut": cut,
        "mean_tokens": round(float(offsets[-1] / count), 1),
        "longest": int(np.diff(offsets).max()),
    }


@dataclass(frozen=True)
class Tokens:
    """Tokenized reviews as one flat array: row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        """Map a file that `tokenize` wrote into memory, shared by all processes that do so."""
        rows = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        column = rows["input_ids"]
        return cls(
            column.values.to_numpy(),  # neither this nor the next is a copy
            column.offsets.to_numpy(),
            rows["label"].to_numpy().astype(np.int64),
        )

    @classmethod
    def of(cls, ids: Sequence[Sequence[int] | npt.NDArray[np.int32]]) -> "Tokens":
        """Collect the token ids of texts without labels; their labels are -1."""
        offsets = np.cumsum([0, *map(len, ids)])
        flat = np.concatenate([np.asarray(row, np.int32) for row in ids])
        return cls(flat, offsets, np.full(len(ids), -1))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Rows:
        """Number of tokens of each row, shape (rows,)."""
        return np.diff(self.offsets)

    @cached_property
    def longest(self) -> int:
        """Number of tokens of the longest row."""
        return int(self.lengths.max())

    def pad(self, rows: Rows, pad_id: int, multiple: int = 1) -> tuple[Padded, Padded]:
        """Return the token ids and the attention mask of some rows, both (len(rows), width).

        The width is the length of the longest of these rows, rounded up to a `multiple`. It never
        exceeds the longest row of all, because the encoder may have no position beyond it.
        """
        starts = self.offsets[rows, None]
        lengths = self.offsets[rows + 1, None] - starts
        columns = np.arange(min(-(-lengths.max() // multiple) * multiple, self.longest))
        mask = columns < lengths
        ids = np.where(mask, self.ids[np.where(mask, starts + columns, 0)], pad_id)
        return ids.astype(np.int64), mask.astype(np.int64)
