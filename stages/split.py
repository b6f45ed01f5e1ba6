"""Split the reviews into train, validation and test, and count the duplicates that cross."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_folder, write_json
from ordinal.common.params import Split
from ordinal.common.parquet import open_parquet
from ordinal.common.paths import PARTS
from ordinal.data.split import count_leaks, fingerprints, hash_split, shuffle_split

PIECE = 10_000  # rows in memory at once
NEEDED = {"train": 1, "validation": 1, "test": 2}  # rows; one alone has no interval


def main() -> None:
    params = Split.load()
    shares = (params.train, params.validation, params.test)
    reviews = open_parquet(Path("data/raw/reviews.parquet"))
    texts = (piece["text"].to_pylist() for piece in reviews.iter_batches(PIECE, columns=["text"]))
    prints = np.concatenate([fingerprints(piece) for piece in texts])
    if params.method == "hash":
        parts = hash_split(prints, shares, params.seed)
    else:
        parts = shuffle_split(len(prints), shares, params.seed)
    sizes = {part: int((parts == index).sum()) for index, part in enumerate(PARTS)}
    if short := [f"{size} for {part}" for part, size in sizes.items() if size < NEEDED[part]]:
        raise UserError(
            f"of {len(prints)} reviews this split leaves {' and '.join(short)}: add other reviews, "
            "or change split in params.yaml"
        )

    schema = pa.schema([pa.field("row", pa.int64()), *reviews.schema_arrow])
    with atomic_folder(Path("data/split")) as out, ExitStack() as stack:
        paths = [out / f"{part}.parquet" for part in PARTS]
        files = [pq.ParquetWriter(path, schema, compression="zstd") for path in paths]
        writers = [stack.enter_context(file) for file in files]
        start = 0
        for piece in reviews.iter_batches(PIECE):
            for index, writer in enumerate(writers):
                rows = np.flatnonzero(parts[start : start + len(piece)] == index)
                columns = [pa.array(rows + start), *piece.take(rows).columns]
                writer.write_batch(pa.record_batch(columns, schema=schema))
            start += len(piece)
    leaks = count_leaks(prints, parts)
    write_json(Path("metrics/split.json"), {"rows": sizes, "duplicates_of_earlier_parts": leaks})
    print(f"split: {sizes}; rows whose text also stands in an earlier part: {leaks}")


if __name__ == "__main__":
    with report_user_errors():
        main()
