"""What a user would try first: the bar that a fine-tuned transformer has to clear."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ordinal.common.types import Labels, Probabilities

Guess = Callable[[Sequence[str]], Probabilities]
"""From texts to distributions, shape (texts, K)."""


def class_shares(train_labels: Labels, rows: int, classes: int) -> Probabilities:
    """For every row the shares of the training labels: their median is the best constant guess."""
    shares = np.bincount(train_labels, minlength=classes) / len(train_labels)
    return np.tile(shares, (rows, 1))


def tfidf_logistic_regression(
    train_texts: Sequence[str], train_labels: Labels, classes: int
) -> Guess:
    """Learn a logistic regression on the TF-IDF of words and word pairs.

    Where there is nothing to learn from, one class or no word twice, it says the class shares.
    """

    def shares(texts: Sequence[str]) -> Probabilities:
        return class_shares(train_labels, len(texts), classes)

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    try:
        features = vectorizer.fit_transform(train_texts)
    except ValueError:  # no word stands in two reviews
        return shares
    if len(set(train_labels)) == 1:
        return shares
    model = LogisticRegression(C=3, max_iter=1000).fit(features, train_labels)

    def guess(texts: Sequence[str]) -> Probabilities:
        probabilities = np.zeros((len(texts), classes))
        probabilities[:, model.classes_] = model.predict_proba(vectorizer.transform(texts))
        return probabilities

    return guess
