"""Split the reviews into train, validation and test, and count duplicates across the parts."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import ROWS_PER_CHUNK, atomic_folder, read_json, write_json
from ordinal.common.params import Split
from ordinal.common.parquet import open_parquet
from ordinal.common.paths import FACTS, PARTS, REVIEWS, SPLIT, SPLIT_COUNTS
from ordinal.common.types import Labels
from ordinal.data.split import (
    Parts,
    Prints,
    count_leaks,
    fingerprints,
    hash_split,
    label_warnings,
    shuffle_split,
    stratified_split,
)

MIN_ROWS = {"train": 1, "validation": 1, "test": 2}  # a single test row has no interval


def main() -> None:
    params = Split.load()
    reviews = open_parquet(REVIEWS)
    names = read_json(FACTS)["labels"]
    labels = read_labels(reviews)
    prints = fingerprints(
        text
        for chunk in reviews.iter_batches(ROWS_PER_CHUNK, columns=["text"])
        for text in chunk["text"].to_pylist()
    )
    parts = assign_parts(params, prints, labels, names)
    sizes = {part: int((parts == index).sum()) for index, part in enumerate(PARTS)}
    refuse_small_parts(sizes)
    with atomic_folder(SPLIT) as out:
        write_parts(reviews, parts, out)
    leaks = count_leaks(prints, parts)
    counts: dict[str, Any] = {"rows": sizes, "duplicates_of_earlier_parts": leaks}
    warnings = label_warnings(labels, parts, names, params.method)
    write_json(SPLIT_COUNTS, counts | ({"warnings": warnings} if warnings else {}))
    print(f"split: {sizes}; rows whose text is also in an earlier part: {leaks}")
    for warning in warnings:
        print(f"split: warning: {warning}")


def read_labels(reviews: pq.ParquetFile) -> Labels:
    labels: Labels = reviews.read(columns=["label"])["label"].to_numpy().astype(np.int64)
    return labels


def assign_parts(params: Split, prints: Prints, labels: Labels, names: Sequence[str]) -> Parts:
    shares = (params.train, params.validation, params.test)
    if params.method == "hash":
        return hash_split(prints, shares, params.seed)
    if params.method == "stratified":
        return stratified_split(labels, shares, params.seed, names)
    return shuffle_split(len(prints), shares, params.seed)


def refuse_small_parts(sizes: Mapping[str, int]) -> None:
    small = [f"{size} for {part}" for part, size in sizes.items() if size < MIN_ROWS[part]]
    if small:
        raise UserError(
            f"the split of {sum(sizes.values())} reviews leaves {' and '.join(small)}: add more "
            "reviews, or change the section split in params.yaml"
        )


def write_parts(reviews: pq.ParquetFile, parts: Parts, out: Path) -> None:
    """Write each part as Parquet: `row` (the row number in the reviews), `text` and `label`."""
    schema = pa.schema([pa.field("row", pa.int64()), *reviews.schema_arrow])
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                pq.ParquetWriter(out / f"{part}.parquet", schema, compression="zstd")
            )
            for part in PARTS
        ]
        start = 0
        for chunk in reviews.iter_batches(ROWS_PER_CHUNK):
            for index, writer in enumerate(writers):
                rows = np.flatnonzero(parts[start : start + len(chunk)] == index)
                columns = [pa.array(rows + start), *chunk.take(rows).columns]
                writer.write_batch(pa.record_batch(columns, schema=schema))
            start += len(chunk)


if __name__ == "__main__":
    with report_user_errors():
        main()
