"""The words that moved predictions most, by predicted label."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

if TYPE_CHECKING:
    from ordinal.prediction.explanation import Explanation

REVIEWS = 100  # that are explained
MIN_REVIEWS = 3  # with the same predicted label that a word has to be in
MAX_WORDS = 5  # per label, up and down


@dataclass(frozen=True)
class LabelWords:
    """The words that moved the predictions of one label most."""

    label: int
    """The predicted class."""
    reviews: int
    """Explained reviews with this predicted label."""
    words: pd.DataFrame
    """Columns: `word`, `effect` and `reviews`. The words that moved up come first."""


def choose_reviews(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return at most `REVIEWS` random rows, as many of each predicted label as possible.

    The same table gives the same rows.
    """
    drawn = predictions.sample(frac=1, random_state=0)
    order = drawn.assign(turn=drawn.groupby("predicted").cumcount())
    chosen = order.sort_values(["turn", "predicted"], kind="stable").head(REVIEWS)
    return chosen.drop(columns="turn").sort_values("row", kind="stable")


def words_by_label(
    reviews: pd.DataFrame, explain: "Callable[[str], Explanation]"
) -> list[LabelWords]:
    """Return the words of each predicted label, lowest first, that moved its predictions most.

    The effect of a word in a review is the sum over all places where the review has it. `effect`
    is the mean over the reviews that have the word. Upper and lower case are the same word.

    Args:
        reviews: table of predictions with `text`.
        explain: returns the explanation of a text.
    """
    effects = [
        (predicted, number, _spelling(word.word), word.effect)
        for number, (predicted, text) in enumerate(
            tqdm(
                [*zip(reviews["predicted"].tolist(), reviews["text"].tolist(), strict=True)],
                desc="explain",
                unit="review",
                disable=None,
            )
        )
        for word in explain(text).words
    ]
    table = pd.DataFrame(effects, columns=["label", "review", "word", "effect"])
    per_review = table.groupby(["label", "word", "review"])["effect"].sum()
    words = per_review.groupby(["label", "word"]).agg(effect="mean", reviews="size").reset_index()
    words = words[(words["word"] != "") & (words["reviews"] >= MIN_REVIEWS)]
    labels, counts = np.unique(reviews["predicted"].to_numpy(), return_counts=True)
    return [
        LabelWords(label, count, _most_moving(words[words["label"] == label]))
        for label, count in zip(labels.tolist(), counts.tolist(), strict=True)
    ]


def _most_moving(words: pd.DataFrame) -> pd.DataFrame:
    ordered = words.sort_values(["effect", "word"], ascending=[False, True])
    up, down = ordered[ordered["effect"] > 0], ordered[ordered["effect"] < 0]
    return pd.concat([up.head(MAX_WORDS), down.tail(MAX_WORDS)])[["word", "effect", "reviews"]]


def _spelling(word: str) -> str:
    """Return a word without case and without punctuation and spaces around it."""
    around = "".join(char for char in word if unicodedata.category(char)[0] in "PZ")
    return word.casefold().strip(around)
