"""From text to token ids, each row as long as its review: padding is the batch's business."""

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

from ordinal.common.parquet import open_parquet
from ordinal.common.types import Rows

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


@dataclass(frozen=True)
class Tokens:
    """Tokenized reviews as one flat array: row i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    @classmethod
    def load(cls, path: Path) -> "Tokens":
        """Map the file that `tokenize` wrote into memory, where all processes share it."""
        rows = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        column = rows["input_ids"]
        return cls(
            column.values.to_numpy(),  # no copy, nor is the next
            column.offsets.to_numpy(),
            rows["label"].to_numpy().astype(np.int64),
        )

    @classmethod
    def of(cls, ids: Sequence[Sequence[int] | npt.NDArray[np.int32]]) -> "Tokens":
        """The token ids of some texts, whose labels nobody knows: they are -1."""
        offsets = np.cumsum([0, *map(len, ids)])
        flat = np.concatenate([np.asarray(row, np.int32) for row in ids])
        return cls(flat, offsets, np.full(len(ids), -1))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> Rows:
        """Tokens of each row, shape (rows,)."""
        return np.diff(self.offsets)

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return int(self.lengths.max())

    def pad(
        self, rows: Rows, pad_id: int, multiple: int = 1
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Token ids and attention mask of some rows, both (len(rows), width).

        The width is the longest of them, rounded up to a `multiple`, but never more than the
        longest row of all: the encoder may have no position for it.
        """
        starts = self.offsets[rows, None]
        lengths = self.offsets[rows + 1, None] - starts
        columns = np.arange(min(-(-lengths.max() // multiple) * multiple, self.longest))
        mask = columns < lengths
        ids = np.where(mask, self.ids[np.where(mask, starts + columns, 0)], pad_id)
        return ids.astype(np.int64), mask.astype(np.int64)
