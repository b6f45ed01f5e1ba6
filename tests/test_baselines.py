"""The baselines: what they learn, and what they say where there is nothing to learn."""

import numpy as np

from ordinal.baselines import class_shares, tfidf_logistic_regression
from ordinal.decoding import decode

LABELS = np.array([0, 0, 1, 2, 2, 2])


def test_class_shares_decode_to_the_median_of_the_training_labels() -> None:
    shares = class_shares(LABELS, rows=2, classes=4)
    assert shares.tolist() == [[2 / 6, 1 / 6, 3 / 6, 0]] * 2
    assert decode(shares).tolist() == [1, 1]  # the lowest class that reaches one half


def test_tfidf_learns_words_and_gives_no_chance_to_a_class_it_never_saw() -> None:
    texts = ["bad bed", "bad", "plain bed", "good", "good bed", "very good"]
    probabilities = tfidf_logistic_regression(texts, LABELS, classes=4)(["bad", "good"])
    assert decode(probabilities, "mode").tolist() == [0, 2]
    assert (probabilities[:, 3] == 0).all()


def test_where_there_is_nothing_to_learn_the_shares_are_the_answer() -> None:
    shares = class_shares(LABELS, rows=1, classes=3)
    alone = [f"word{row}" for row in range(6)]
    np.testing.assert_array_equal(tfidf_logistic_regression(alone, LABELS, 3)(["x"]), shares)
    one = np.full(6, 1)
    only = tfidf_logistic_regression(["good bed"] * 6, one, 3)(["x"])
    np.testing.assert_array_equal(only, [[0, 1, 0]])
