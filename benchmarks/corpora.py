"""Texts to measure speed with: random words, with the lengths of real reviews."""

import string

import numpy as np
from tokenizers import Tokenizer

from ordinal.common.types import Rows
from ordinal.tokenization.tokens import Tokens

CLASSES = 5
LABELS = [str(label + 1) for label in range(CLASSES)]
LONGEST = 512

# Tokens of every fortieth of 7,000 hotel reviews (TripAdvisor, balanced), sorted by length, with
# MiniLM's and DistilBERT's tokenizer, truncated at 512. The mean is 227.
HOTEL_QUANTILES = (
    *(12, 22, 45, 63, 74, 83, 92, 100, 107, 115, 122, 130, 137, 145, 152, 159, 166, 173, 180, 188),
    *(196, 205, 214, 222, 232, 245, 254, 267, 278, 292, 308, 323, 344, 367, 396, 429, 470, 512),
    *(512, 512, 512),
)


def hotel_lengths(rows: int) -> Rows:
    """Lengths in tokens, shape (rows,), shuffled, with the distribution of the hotel reviews."""
    shares = np.linspace(0, 1, len(HOTEL_QUANTILES))
    lengths = np.interp((np.arange(rows) + 0.5) / rows, shares, HOTEL_QUANTILES).round()
    return np.random.default_rng(0).permutation(lengths.astype(np.int64))


def short_lengths(rows: int) -> Rows:
    """Lengths of short texts, shape (rows,): log-normal, median 31, mean 50, truncated at 512."""
    lengths = np.random.default_rng(0).lognormal(np.log(31), 1.0, rows).round().clip(3, LONGEST)
    return lengths.astype(np.int64)


def random_tokens(lengths: Rows, vocabulary: int) -> Tokens:
    """Reviews of these lengths, of random token ids and labels, without special tokens."""
    rng = np.random.default_rng(1)
    offsets = np.concatenate([[0], lengths.cumsum()])
    ids = rng.integers(min(1000, vocabulary // 2), vocabulary, offsets[-1], dtype=np.int32)
    return Tokens(ids, offsets, rng.integers(CLASSES, size=len(lengths)))


def random_texts(lengths: Rows, tokenizer: Tokenizer) -> list[str]:
    """Reviews of these lengths, of words of the vocabulary, so that each word is one token."""
    letters = set(string.ascii_lowercase)
    words = np.array(sorted(word for word in tokenizer.get_vocab() if set(word) <= letters))
    rng = np.random.default_rng(1)
    special = tokenizer.num_special_tokens_to_add(is_pair=False)
    return [" ".join(rng.choice(words, max(1, length - special))) for length in lengths]
