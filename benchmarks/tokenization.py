"""Speed and peak memory of `tokenize`, from Parquet to Arrow, compared with a bare `encode_batch`.

The bare side gets batches of the same size from memory, and keeps no result. Both sides use all
cores and run in turns. Prints the ratio of each turn and of the medians. More reviews than
`make bench` takes are measured once.
`make bench`, or with other numbers of reviews: `python -m benchmarks.tokenization 1000000`.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.child import in_child
from benchmarks.reviews import write_parquet
from ordinal.tokenization.tokenizer import load_tokenizer
from ordinal.tokenization.tokens import ROWS_PER_CHUNK, tokenize

ENCODER = Path("data/pretrained")
LONGEST = 512  # tokens; longer texts are truncated
SIZES = (10_000, 100_000)
REPEATS = 3


def ours(source: Path, encoder: Path, longest: int) -> float:
    """Return the seconds that `tokenize` takes."""
    tokenizer = load_tokenizer(encoder, longest)
    start = time.perf_counter()
    tokenize(source, tokenizer, source.with_suffix(".arrow"))
    return time.perf_counter() - start


def bare(source: Path, encoder: Path, longest: int) -> float:
    """Return the seconds that the calls of `encode_batch` take."""
    tokenizer = load_tokenizer(encoder, longest)
    seconds = 0.0
    for piece in pq.ParquetFile(source).iter_batches(ROWS_PER_CHUNK, columns=["text"]):
        texts = piece["text"].to_pylist()
        start = time.perf_counter()
        tokenizer.encode_batch(texts)
        seconds += time.perf_counter() - start
    return seconds


def measure(rows: int, encoder: Path, longest: int) -> None:
    print(f"tokenization of {rows:,} reviews")
    turns = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "reviews.parquet"
        in_child(write_parquet, source, rows, encoder / "tokenizer.json")
        for turn in range(1, (REPEATS if rows <= SIZES[-1] else 1) + 1):
            our_time, memory = in_child(ours, source, encoder, longest)
            their_time, _ = in_child(bare, source, encoder, longest)
            turns.append((our_time, their_time, memory))
            print(f"  turn {turn}: {their_time / our_time:.2f} times the rows/s", flush=True)
        size = source.with_suffix(".arrow").stat().st_size / 1e6
    our_time, their_time, memory = (statistics.median(kind) for kind in zip(*turns, strict=True))
    print(f"  {their_time / our_time:.2f} times the rows/s of a bare encode_batch, by the medians")
    print(f"  {rows / our_time:.0f} rows/s; the bare encode_batch {rows / their_time:.0f} rows/s")
    print(f"  {memory:.0f} MB of memory for {size:.0f} MB of tokens", flush=True)


def main(sizes: Sequence[int] = SIZES, encoder: Path = ENCODER, longest: int = LONGEST) -> None:
    for rows in sizes:
        measure(rows, encoder, longest)


if __name__ == "__main__":
    main([int(rows) for rows in sys.argv[1:]] or SIZES)
