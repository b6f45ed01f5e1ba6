"""Batches: every row once, in an order that (seed, epoch) fixes, padded as by a loop."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpora import hotel_lengths, short_lengths
from ordinal.tokenization.batching import (
    BUCKET,
    evaluation_batches,
    padding_share,
    training_batches,
)
from ordinal.tokenization.tokens import Tokens

REVIEWS = [[2, 7, 3], [2, 3], [2, 9, 9, 9, 3], [2, 8, 3]]


def test_rows_are_padded_as_by_a_loop() -> None:
    tokens = Tokens.of(REVIEWS)
    ids, mask = tokens.pad(np.array([3, 0, 2]), pad_id=1)
    assert ids.tolist() == [[2, 8, 3, 1, 1], [2, 7, 3, 1, 1], [2, 9, 9, 9, 3]]
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert tokens.lengths.tolist() == [3, 2, 5, 3]


@pytest.mark.parametrize(("multiple", "width"), [(1, 3), (2, 4), (3, 3), (4, 4), (8, 5)])
def test_a_width_is_rounded_up_but_never_beyond_the_longest_of_all(
    multiple: int, width: int
) -> None:
    ids, mask = Tokens.of(REVIEWS).pad(np.array([1, 0]), pad_id=1, multiple=multiple)
    assert ids.tolist() == [[2, 3] + [1] * (width - 2), [2, 7, 3] + [1] * (width - 3)]
    assert mask.tolist() == [[1, 1] + [0] * (width - 2), [1, 1, 1] + [0] * (width - 3)]


lengths = st.lists(st.integers(1, 500), min_size=1, max_size=400).map(np.array)


@given(lengths, st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_every_row_is_trained_on_once_an_epoch(
    lengths: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    batches = training_batches(lengths, size, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert max(len(batch) for batch in batches) <= size


@given(lengths, st.integers(1, 2000))
def test_every_row_is_evaluated_once_the_longest_first(lengths: np.ndarray, tokens: int) -> None:
    batches = evaluation_batches(lengths, tokens)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        longest = lengths[batch].max()
        assert len(batch) == 1 or len(batch) * longest <= tokens
        if following is not None:  # one more row would have been too much
            assert (len(batch) + 1) * longest > tokens


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.random.default_rng(0).integers(5, 500, size=300)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(training_batches(lengths, 8, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@pytest.mark.parametrize("draw", [hotel_lengths, short_lengths])
@pytest.mark.parametrize("size", [12, 16, 32])
def test_little_of_a_batch_is_padding(draw: Callable[[int], np.ndarray], size: int) -> None:
    lengths = draw(4900)
    batches = training_batches(lengths, size, seed=1, epoch=0)
    assert padding_share(lengths, batches) < 0.05


def test_a_corpus_of_even_lengths_stays_mixed() -> None:
    lengths = np.random.default_rng(0).permutation(np.arange(10_000) % 100 + 100)
    batches = training_batches(lengths, 4, seed=1, epoch=0)
    # The longest rows of all are in as many batches as there are buckets with one, about.
    assert sum(lengths[batch].max() == 199 for batch in batches) > len(batches) / BUCKET / 2


def test_padding_is_what_a_loop_counts() -> None:
    lengths = np.array([3, 2, 5, 3])
    assert padding_share(lengths, [np.array([0, 1]), np.array([2, 3])]) == pytest.approx(3 / 16)
