"""Batches: each row once, in an order fixed by seed and epoch, with little padding."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpora import hotel_lengths, short_lengths
from ordinal.tokenization.batching import (
    BATCHES_PER_BUCKET,
    evaluation_batches,
    padding_share,
    training_batches,
)
from ordinal.tokenization.tokens import Tokens

REVIEWS = [[2, 7, 3], [2, 3], [2, 9, 9, 9, 3], [2, 8, 3]]


def test_pad_of_a_case_worked_by_hand() -> None:
    tokens = Tokens.of(REVIEWS)
    ids, mask = tokens.pad(np.array([3, 0, 2]), pad_id=1)
    assert ids.tolist() == [[2, 8, 3, 1, 1], [2, 7, 3, 1, 1], [2, 9, 9, 9, 3]]
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert tokens.lengths.tolist() == [3, 2, 5, 3]


@pytest.mark.parametrize(("multiple", "width"), [(1, 3), (2, 4), (3, 3), (4, 4), (8, 5)])
def test_the_width_is_rounded_up_to_at_most_the_longest_row(multiple: int, width: int) -> None:
    ids, mask = Tokens.of(REVIEWS).pad(np.array([1, 0]), pad_id=1, multiple=multiple)
    assert ids.tolist() == [[2, 3] + [1] * (width - 2), [2, 7, 3] + [1] * (width - 3)]
    assert mask.tolist() == [[1, 1] + [0] * (width - 2), [1, 1, 1] + [0] * (width - 3)]


lengths = st.lists(st.integers(1, 500), min_size=1, max_size=400).map(np.array)


@given(lengths, st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_every_row_is_trained_on_once_per_epoch(
    lengths: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    batches = training_batches(lengths, size, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert max(len(batch) for batch in batches) <= size


@given(lengths, st.integers(1, 2000))
def test_every_row_is_evaluated_once_and_the_longest_first(
    lengths: np.ndarray, tokens: int
) -> None:
    batches = evaluation_batches(lengths, tokens)
    order = np.concatenate(batches)
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        longest = lengths[batch].max()
        assert len(batch) == 1 or len(batch) * longest <= tokens
        if following is not None:  # one more row would not have fit
            assert (len(batch) + 1) * longest > tokens


def test_the_order_depends_on_seed_and_epoch_only() -> None:
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
    # Each bucket contributes about one batch of the longest rows.
    assert (
        sum(lengths[batch].max() == 199 for batch in batches)
        > len(batches) / BATCHES_PER_BUCKET / 2
    )


def test_padding_share_of_a_case_worked_by_hand() -> None:
    lengths = np.array([3, 2, 5, 3])
    assert padding_share(lengths, [np.array([0, 1]), np.array([2, 3])]) == pytest.approx(3 / 16)
