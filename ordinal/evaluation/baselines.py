"""Simple baselines that a fine-tuned transformer has to beat."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ordinal.common.types import Labels, Probabilities

TextModel = Callable[[Sequence[str]], Probabilities]
"""A trained model: from texts to distributions, shape (texts, K)."""
Features = Literal["words", "characters"]

WORD = re.compile(r"\b\w\w+\b")  # scikit-learn's default
MIN_TEXTS = 2  # in which a feature has to occur
MIN_KNOWN = 0.5  # 0.99 for the demo, 0.95 for 100 English reviews, 0 for Chinese


def class_shares(train_labels: Labels, rows: int, classes: int) -> Probabilities:
    """Return the shares of the training labels once per row, shape (rows, K).

    Their median is the constant prediction with the lowest absolute error on the training rows.
    """
    shares = np.bincount(train_labels, minlength=classes) / len(train_labels)
    return np.tile(shares, (rows, 1))


def choose_features(train_texts: Sequence[str]) -> Features:
    """Return the features of TF-IDF: words, or characters if words hardly ever recur.

    Languages without spaces have no words for TF-IDF: what is between two punctuation marks occurs
    once. The words that occur in at least two of four fifths of the texts have to cover the share
    `MIN_KNOWN` of the letters of the other fifth.
    """
    order = np.random.default_rng(0).permutation(len(train_texts))
    texts = [train_texts[row].lower() for row in order]
    held_out, rest = texts[: len(texts) // 5], texts[len(texts) // 5 :]
    counts = Counter(word for text in rest for word in set(WORD.findall(text)))
    letters = sum(len(word) for text in held_out for word in re.findall(r"\w+", text))
    known = sum(
        len(word) for text in held_out for word in WORD.findall(text) if counts[word] >= MIN_TEXTS
    )
    return "characters" if known < MIN_KNOWN * letters else "words"


def tfidf_logistic_regression(
    train_texts: Sequence[str], train_labels: Labels, classes: int, features: Features = "words"
) -> TextModel:
    """Train a logistic regression on the TF-IDF of words and word pairs, or of characters.

    It predicts `class_shares` if there is only one class, or no feature occurs in two texts.

    Args:
        train_texts: The texts.
        train_labels: Their classes, shape (texts,).
        classes: K.
        features: `characters` are sequences of one to three of them.
    """

    def shares(texts: Sequence[str]) -> Probabilities:
        return class_shares(train_labels, len(texts), classes)

    analyzer, longest = ("char", 3) if features == "characters" else ("word", 2)
    vectorizer = TfidfVectorizer(
        analyzer=analyzer, ngram_range=(1, longest), min_df=MIN_TEXTS, sublinear_tf=True
    )
    try:
        matrix = vectorizer.fit_transform(train_texts)
    except ValueError:  # no feature occurs in two texts
        return shares
    if len(set(train_labels)) == 1:
        return shares
    model = LogisticRegression(C=3, max_iter=1000).fit(matrix, train_labels)

    def predict(texts: Sequence[str]) -> Probabilities:
        probabilities = np.zeros((len(texts), classes))
        probabilities[:, model.classes_] = model.predict_proba(vectorizer.transform(texts))
        return probabilities

    return predict
