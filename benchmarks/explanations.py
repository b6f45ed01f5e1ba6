"""How often the word with the largest effect on a prediction is one that carries the grade.

The demo's reviews are composed of phrases, so it is known which words state an opinion about this
hotel: adjectives, denials, verdicts and observations. All others, such as those of facts and of
opinions about other hotels, are neutral.
"""

import re
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ordinal.common.paths import MODEL, SPLIT
from ordinal.data import demo_phrases as phrases
from ordinal.data.demo_phrases import ASPECTS
from ordinal.prediction.explanation import Word, load_explainer

ROWS = 50
TABLES = (phrases.WORDS, *(aspect.words for aspect in ASPECTS))
WORDS = [word for table in TABLES for level in table.values() for word in level]
OBSERVATIONS = [phrase for aspect in ASPECTS for phrase in aspect.observations.values()]
VERDICTS = [verdict for level in phrases.VERDICTS.values() for verdict in level]
DENIALS = (
    *("not", "hardly", "nothing", "nobody", "anything but", "opposite", "neither", "nor"),
    *("neither praise nor complaints", "little to say", "wrong", "another house"),
)
Place = tuple[int, int]


def main(model: Path = MODEL, split: Path = SPLIT) -> None:
    texts = pd.read_parquet(split / "test.parquet")["text"].head(ROWS).tolist()
    explainer = load_explainer(model)
    start = time.perf_counter()
    explanations = [explainer.explain(text) for text in texts]
    seconds = (time.perf_counter() - start) / len(texts)
    places = [grade_places(text) for text in texts]
    pairs = list(zip(explanations, places, strict=True))
    top = [carries(found.largest(1)[0], there) for found, there in pairs]
    every = [carries(word, there) for found, there in pairs for word in found.words]
    errors = [
        abs(sum(word.effect for word in found.words) / (found.expected - found.baseline) - 1)
        for found in explanations
    ]
    print(f"test reviews: {len(texts)}")
    print(f"the word with the largest effect carries the grade: {np.mean(top):.0%}")
    print(f"a random word carries the grade: {np.mean(every):.0%}")
    print(f"largest error of the sum of all effects: {max(errors):.2%}")
    print(f"seconds per review: {seconds:.2f}")


def grade_places(text: str) -> list[Place]:
    """Return the places of the words that state an opinion about this hotel."""
    return [
        (sentence.start() + found.start(), sentence.start() + found.end())
        for sentence in re.finditer(r"[^.]+", text)
        if not NEUTRAL.fullmatch(sentence[0].strip())
        for found in GRADES.finditer(sentence[0])
    ]


def carries(word: Word, places: Sequence[Place]) -> bool:
    """Return whether a word overlaps one of the places."""
    return any(word.start < end and start < word.end for start, end in places)


def _any_of(templates: Iterable[str]) -> re.Pattern[str]:
    """A pattern of any of the templates, whose fields may be any words."""
    escaped = [re.sub(r"\\{\w+\\}", ".+", re.escape(template)) for template in templates]
    longest_first = sorted(escaped, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(longest_first)})\b", re.IGNORECASE)


NEUTRAL = _any_of((*phrases.FACTS, *phrases.PRIORITIES, *phrases.ELSEWHERE))
GRADES = _any_of((*WORDS, *OBSERVATIONS, *VERDICTS, *DENIALS))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
