"""The words that moved predictions most: chosen reviews, means, and counts."""

from collections import Counter, defaultdict

import pandas as pd
import pytest

from ordinal.prediction.explanation import Explanation, Word
from ordinal.reporting.words import MAX_WORDS, MIN_REVIEWS, REVIEWS, choose_reviews, words_by_label

EFFECTS = {"Great": 0.5, "good,": 0.2, "the": 0.01, "bad": -0.3, "BAD!": -0.5, "...": 0.9}


def explain(text: str) -> Explanation:
    return Explanation(3.0, 2.5, [Word(word, 0, 0, EFFECTS[word]) for word in text.split()])


def test_reviews_are_chosen_evenly_and_always_the_same() -> None:
    table = pd.DataFrame({"row": range(500), "predicted": [0] * 10 + [1] * 300 + [3] * 190})
    chosen = choose_reviews(table)
    assert Counter(chosen["predicted"]) == {0: 10, 1: 45, 3: 45}
    assert chosen["row"].is_monotonic_increasing
    assert chosen["row"].iloc[-1] > 400  # from all parts of the table
    assert choose_reviews(table).equals(chosen)
    assert len(chosen) == REVIEWS
    assert len(choose_reviews(table.head(7))) == 7


def test_the_effect_of_a_word_is_its_mean_over_the_reviews_that_have_it() -> None:
    texts = [
        "Great good, the ...",
        "the bad BAD! ...",
        "the bad good, ...",
        "BAD! the",
        "Great Great",
    ]
    reviews = pd.DataFrame({"predicted": [1] * 5 + [2], "text": [*texts, "bad"]})
    one, two = words_by_label(reviews, explain)
    sums: dict[str, list[float]] = defaultdict(list)
    for text in texts:
        words = [(word.casefold().strip(".,!"), EFFECTS[word]) for word in text.split()]
        for name in {word for word, _ in words} - {""}:
            sums[name].append(sum(effect for word, effect in words if word == name))
    often = {word: found for word, found in sums.items() if len(found) >= MIN_REVIEWS}
    assert set(often) == {"the", "bad"}
    assert (one.label, one.reviews) == (1, 5)
    assert one.words["word"].tolist() == ["the", "bad"]
    for word, effect, count in one.words.itertuples(index=False):
        assert effect == pytest.approx(sum(often[word]) / len(often[word]))
        assert count == len(often[word])
    assert (two.label, two.reviews, len(two.words)) == (2, 1, 0)


def test_only_the_largest_effects_are_listed() -> None:
    effects = {f"w{number}": number - 10 for number in range(21)}

    def of_all(text: str) -> Explanation:
        return Explanation(3.0, 2.5, [Word(word, 0, 0, effect) for word, effect in effects.items()])

    [label] = words_by_label(pd.DataFrame({"predicted": [0] * 3, "text": [""] * 3}), of_all)
    up, down = range(10, 10 - MAX_WORDS, -1), range(MAX_WORDS - 11, -11, -1)
    assert label.words["effect"].tolist() == [*up, *range(-11 + MAX_WORDS, -11, -1)]
    assert len(label.words) == len(up) + len(down)
