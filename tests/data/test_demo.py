"""The synthetic reviews: reproducible, balanced, noisy as stated, and not trivial."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from ordinal.data.demo import BEST_MAE, GRADES, MAX_WORDS, MIN_WORDS, NOISE, Review, demo_reviews
from ordinal.distributions.decoding import decode
from ordinal.evaluation.baselines import tfidf_logistic_regression

# Hash of the default corpus. If it changes, every number measured on the corpus is out of date.
SHA256 = "a5075d381db57f6c93d293e1e7a5ebc20377a23cfafef2c70ee0b212283539c0"

DIGEST = (
    "import hashlib; from ordinal.data.demo import demo_reviews; "
    "print(hashlib.sha256(repr([tuple(r) for r in demo_reviews()]).encode()).hexdigest())"
)


@pytest.fixture(scope="module")
def reviews() -> list[Review]:
    return demo_reviews()


@pytest.fixture(scope="module")
def many() -> list[Review]:
    return demo_reviews(10_000, seed=7)


def test_the_default_corpus_is_pinned(reviews: list[Review]) -> None:
    digest = hashlib.sha256(repr([tuple(review) for review in reviews]).encode()).hexdigest()
    assert digest == SHA256
    assert demo_reviews() == reviews


@pytest.mark.parametrize("hash_seed", ["0", "12345"])
def test_the_hash_seed_does_not_matter(hash_seed: str) -> None:
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", DIGEST]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == SHA256


def test_another_seed_gives_other_reviews(reviews: list[Review]) -> None:
    other = demo_reviews(seed=2)
    shared = {review.text for review in reviews} & {review.text for review in other}
    assert len(shared) < len(reviews) / 20


@pytest.mark.parametrize("rows", [0, 1, 7, 100])
def test_clean_grades_are_balanced(rows: int) -> None:
    counts = Counter(review.clean_stars for review in demo_reviews(rows))
    assert sum(counts.values()) == rows
    assert all(counts[grade] in (rows // GRADES, -(-rows // GRADES)) for grade in range(1, 6))


def test_every_label_is_about_as_frequent(reviews: list[Review]) -> None:
    counts = Counter(review.stars for review in reviews)
    assert sorted(counts) == [1, 2, 3, 4, 5]
    assert all(0.17 < count / len(reviews) < 0.23 for count in counts.values())


def test_the_noise_is_as_stated(many: list[Review]) -> None:
    moved = [review for review in many if review.stars != review.clean_stars]
    assert binomtest(len(moved), len(many), NOISE).pvalue > 0.001
    assert all(abs(review.stars - review.clean_stars) == 1 for review in moved)
    assert all(1 <= review.stars <= GRADES for review in many)
    inner = [review for review in moved if 1 < review.clean_stars < GRADES]
    up = sum(review.stars > review.clean_stars for review in inner)
    assert binomtest(up, len(inner), 0.5).pvalue > 0.001


def test_a_perfect_reader_reaches_the_best_mae(many: list[Review]) -> None:
    errors = [abs(review.stars - review.clean_stars) for review in many]
    spread = (NOISE * (1 - NOISE) / len(many)) ** 0.5
    assert np.mean(errors) == pytest.approx(BEST_MAE, abs=4 * spread)


def test_texts_are_distinct_and_of_the_stated_length(many: list[Review]) -> None:
    assert len({review.text for review in many}) == len(many)
    lengths = [len(review.text.split()) for review in many]
    assert min(lengths) >= MIN_WORDS
    assert max(lengths) <= MAX_WORDS
    assert max(lengths) > 4 * min(lengths)


def test_texts_are_whole_sentences(many: list[Review]) -> None:
    for review in many:
        assert review.text.isascii()
        assert not set("{}") & set(review.text)
        sentences = review.text.removesuffix(".").split(". ")
        assert all(sentence[0].isupper() for sentence in sentences)
        assert len(sentences) == len(set(sentences))


def test_word_counts_beat_the_median_but_stay_above_the_noise(reviews: list[Review]) -> None:
    texts = [review.text for review in reviews]
    labels = np.array([review.stars - 1 for review in reviews])
    probabilities = tfidf_logistic_regression(texts[:1000], labels[:1000], 5)(texts[1000:])
    mae = np.abs(decode(probabilities) - labels[1000:]).mean()
    median_mae = np.abs(2 - labels[1000:]).mean()
    assert median_mae == pytest.approx(1.2, abs=0.1)
    assert BEST_MAE + 0.3 < mae < median_mae - 0.2
