"""Parquet files that are larger than memory."""

from pathlib import Path

import pyarrow.parquet as pq

from ordinal.common.files import BLOCK


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file for reading in chunks, without keeping in memory what was read.

    By default pyarrow reads whole row groups ahead and frees none until the file is closed.
    """
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=BLOCK)
