"""Any number of synthetic reviews with the lengths of real ones."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from benchmarks.corpora import HOTEL_QUANTILES

# Tokens of the hotel reviews, including two special tokens, without truncation: 248 on average (227
# if truncated at 512).
SHARES = (*np.arange(37) / 40, 0.95, 0.99, 0.999, 1)
LENGTHS = (*HOTEL_QUANTILES[:37], 627, 1060, 1789, 3758)
STARS = 5
ROWS_PER_CHUNK = 1000

Reviews = list[tuple[str, int]]


def synthetic_reviews(rows: int, tokenizer: Path) -> Iterator[Reviews]:
    """Chunks of texts with 1 to 5 stars, of words that are one token each.

    The frequencies of the words follow Zipf's law with Mandelbrot's shift. A tenth of the words of
    a review are shifted by its stars, so that the stars can be learned.
    """
    vocabulary = Tokenizer.from_file(str(tokenizer)).get_vocab()
    ranked = sorted(vocabulary, key=vocabulary.__getitem__)
    words = [word for word in ranked if word.isascii() and word.isalpha()]
    chances = np.cumsum(1 / (np.arange(len(words)) + 2.7))
    rng = np.random.default_rng(1)
    for start in range(0, rows, ROWS_PER_CHUNK):
        size = min(ROWS_PER_CHUNK, rows - start)
        lengths = np.interp(rng.random(size), SHARES, LENGTHS).astype(int) - 2
        stars = rng.integers(1, STARS + 1, size)
        drawn = np.searchsorted(chances, rng.random(lengths.sum()) * chances[-1])
        shifted = rng.random(len(drawn)) < 0.1
        shift = np.repeat(stars, lengths) * (len(words) // (STARS + 1))
        drawn = np.where(shifted, (drawn + shift) % len(words), drawn)
        texts = np.split(drawn, np.cumsum(lengths)[:-1])
        yield [
            (" ".join([words[index] for index in text.tolist()]), int(given))
            for text, given in zip(texts, stars, strict=True)
        ]


def write_csv(path: Path, rows: int, tokenizer: Path) -> None:
    """Write a CSV file with the columns `review` and `stars`, like a user's."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "stars"])
        for chunk in synthetic_reviews(rows, tokenizer):
            writer.writerows(chunk)


def write_parquet(path: Path, rows: int, tokenizer: Path) -> None:
    """Write a Parquet file with the columns `text` and `label`, like the split stage's."""
    schema = pa.schema([("text", pa.string()), ("label", pa.int32())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in synthetic_reviews(rows, tokenizer):
            texts, stars = zip(*chunk, strict=True)
            labels = pa.array(np.array(stars) - 1, pa.int32())
            writer.write_batch(pa.record_batch([pa.array(texts), labels], schema=schema))
