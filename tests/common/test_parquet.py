"""Parquet read in chunks, without keeping them in memory."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.parquet import open_parquet


def test_reading_a_file_of_many_row_groups_needs_the_memory_of_a_few(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [rng.bytes(1000).hex() for _ in range(4000)]
    table = pa.table({"text": texts})
    pq.write_table(table, tmp_path / "texts.parquet", row_group_size=100)
    del table
    before = pa.total_allocated_bytes()
    held, read = [], []
    for piece in open_parquet(tmp_path / "texts.parquet").iter_batches(100):
        held.append(pa.total_allocated_bytes() - before)
        read += piece["text"].to_pylist()
    assert read == texts
    assert max(held) < 0.3 * 2000 * len(texts)
