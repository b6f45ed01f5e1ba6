"""Split the reviews into train, validation and test, and count what the parts share."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.columns import PART
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import ROWS_PER_CHUNK, atomic_folder, read_json, write_json
from ordinal.common.folds import Fold
from ordinal.common.params import Split
from ordinal.common.parquet import open_parquet
from ordinal.common.paths import FACTS, PARTS, REVIEWS, SPLIT, SPLIT_COUNTS
from ordinal.common.types import Labels, Rows
from ordinal.data.column_split import codes_of, given_split, group_split, time_split
from ordinal.data.folds import group_fold, hash_fold, shuffle_fold, stratified_fold
from ordinal.data.headers import name_key
from ordinal.data.leaks import count_shared, fingerprints, leak_warnings
from ordinal.data.split import (
    Parts,
    Prints,
    hash_split,
    label_warnings,
    shuffle_split,
    stratified_split,
)

MIN_ROWS = {"train": 1, "validation": 1, "test": 2}  # a single test row has no interval


def main() -> None:
    params = Split.load()
    reviews = open_parquet(REVIEWS)
    facts = read_json(FACTS)
    names = facts["labels"]
    labels = read_labels(reviews)
    column = read_column(reviews, params)
    groups = groups_in(column, params)
    prints, near = fingerprints(read_texts(reviews))
    parts = assign_parts(params, prints, labels, names, column, groups)
    sizes = {part: int((parts == index).sum()) for index, part in enumerate(PARTS)}
    refuse_small_parts(sizes)
    with atomic_folder(SPLIT) as out:
        write_parts(reviews, parts, out)
    shared = count_shared(prints, near, groups, parts)
    warnings = [
        *label_warnings(labels, parts, names, params.method),
        *leak_warnings(shared, sizes["test"], params),
        *other_parts(facts, params),
    ]
    counts: dict[str, Any] = {"rows": sizes, **shared}
    write_json(SPLIT_COUNTS, counts | ({"warnings": warnings} if warnings else {}))
    leaks = shared["duplicates_of_earlier_parts"]
    print(f"split: {sizes}; rows whose text is also in an earlier part: {leaks}")
    for warning in warnings:
        print(f"split: warning: {warning}")


def read_labels(reviews: pq.ParquetFile) -> Labels:
    labels: Labels = reviews.read(columns=["label"])["label"].to_numpy().astype(np.int64)
    return labels


def read_texts(reviews: pq.ParquetFile) -> Iterator[str]:
    for chunk in reviews.iter_batches(ROWS_PER_CHUNK, columns=["text"]):
        yield from chunk["text"].to_pylist()


def read_column(reviews: pq.ParquetFile, params: Split) -> pa.ChunkedArray | None:
    """Return the column of the split, or None if it has none."""
    name = params.column
    if name is None and params.method == "given":
        name = PART
        if name not in reviews.schema_arrow.names:
            raise UserError(
                "split.method is given, but the data is not split: set split.column to the column "
                "that names the parts, or data.name to a folder with train.*, validation.* and "
                "test.*"
            )
    return None if name is None else reviews.read(columns=[name_key(name)]).column(0)


def assign_parts(
    params: Split,
    prints: Prints,
    labels: Labels,
    names: Sequence[str],
    column: pa.ChunkedArray | None,
    groups: Rows | None,
) -> Parts:
    if params.fold:
        return assign_fold(Fold.parse(params.fold), params, prints, labels, names, groups)
    shares = (params.train, params.validation, params.test)
    name = params.column or PART
    if params.method == "given":
        parts, moved = given_split(column, name, shares, params.seed)
        if moved:
            print(f"split: no validation part is given: {moved} train rows, at random, become it")
        return parts
    if params.method == "group":
        assert groups is not None
        return group_split(groups, name, shares, params.seed)
    if params.method == "time":
        return time_split(column, name, shares)
    if params.method == "hash":
        return hash_split(prints, shares, params.seed)
    if params.method == "stratified":
        return stratified_split(labels, shares, params.seed, names)
    return shuffle_split(len(prints), shares, params.seed)


def assign_fold(
    fold: Fold,
    params: Split,
    prints: Prints,
    labels: Labels,
    names: Sequence[str],
    groups: Rows | None,
) -> Parts:
    train, seed = params.train / (params.train + params.validation), params.seed
    if params.method == "group":
        assert groups is not None
        assert params.column is not None
        return group_fold(groups, params.column, fold, train, seed)
    if params.method == "hash":
        return hash_fold(prints, fold, train, seed)
    if params.method == "stratified":
        return stratified_fold(labels, fold, train, seed, names)
    return shuffle_fold(len(prints), fold, train, seed)


def groups_in(column: pa.ChunkedArray | None, params: Split) -> Rows | None:
    """Return the group of each row, if the column of the split is one of groups."""
    return None if column is None or params.method in ("given", "time") else codes_of(column)[0]


def other_parts(facts: Mapping[str, Any], params: Split) -> list[str]:
    """Return a warning if the source is split otherwise."""
    if params.method == "given" or "rows_per_part" not in facts:
        return []
    return [
        f"The source has parts of its own, and split.method is {params.method}, which ignores "
        "them. Set split.method to given to compare with published results."
    ]


def refuse_small_parts(sizes: Mapping[str, int]) -> None:
    small = [f"{size} for {part}" for part, size in sizes.items() if size < MIN_ROWS[part]]
    if small:
        raise UserError(
            f"the split of {sum(sizes.values())} reviews leaves {' and '.join(small)}: add more "
            "reviews, or change the section split in params.yaml"
        )


def write_parts(reviews: pq.ParquetFile, parts: Parts, out: Path) -> None:
    """Write each part as Parquet: `row` (the row number in data/raw), and the columns there."""
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
