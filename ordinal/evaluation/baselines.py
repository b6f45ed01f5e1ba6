"""Simple baselines that a fine-tuned transformer has to beat."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ordinal.common.types import Labels, Probabilities

TextModel = Callable[[Sequence[str]], Probabilities]
"""A trained model: from texts to distributions, shape (texts, K)."""


def class_shares(train_labels: Labels, rows: int, classes: int) -> Probabilities:
    """Return the shares of the training labels once per row, shape (rows, K).

    Their median is the constant prediction with the lowest absolute error on the training rows.
    """
    shares = np.bincount(train_labels, minlength=classes) / len(train_labels)
    return np.tile(shares, (rows, 1))


def tfidf_logistic_regression(
    train_texts: Sequence[str], train_labels: Labels, classes: int
) -> TextModel:
    """Train a logistic regression on the TF-IDF of words and word pairs.

    It predicts `class_shares` if there is only one class, or no word occurs in two texts.
    """

    def shares(texts: Sequence[str]) -> Probabilities:
        return class_shares(train_labels, len(texts), classes)

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    try:
        features = vectorizer.fit_transform(train_texts)
    except ValueError:  # no word occurs in two texts
        return shares
    if len(set(train_labels)) == 1:
        return shares
    model = LogisticRegression(C=3, max_iter=1000).fit(features, train_labels)

    def predict(texts: Sequence[str]) -> Probabilities:
        probabilities = np.zeros((len(texts), classes))
        probabilities[:, model.classes_] = model.predict_proba(vectorizer.transform(texts))
        return probabilities

    return predict
