"""Synthetic hotel reviews in five grades, for trying the pipeline without a download.

Every review is composed from the phrases in `demo_phrases.py`, all written for this project:

* An opinion rates one aspect (room, staff, food, location or price) from 1 to 5. A verdict is an
  opinion about the whole stay. The clean grade is the rounded mean of all opinions in the text. If
  the text names the aspect that matters most, the opinion about it counts ``MAIN_WEIGHT`` times.
  Means further than ``MARGIN`` from a whole grade are drawn again, so no review is a close call.
* Counting words of praise and of blame is not enough. With probability ``NEGATED`` an adjective is
  denied ("hardly clean", or said by somebody who "must have meant another house"), equally often
  for praise and for blame. Some sentences state only what was expected. Many verdicts and
  observations come in pairs of nearly the same words. Opinions about other hotels and neutral facts
  do not count.
* Label noise: with probability ``NOISE`` the stars are one above or one below the clean grade (at
  the ends always inward), independently of the text.

The text determines the clean grade, so a perfect reader predicts it and is wrong by one star with
probability ``NOISE``. The noise cannot be read from the text, and the clean grade is the median of
the label given the text. The best reachable expected mean absolute error (MAE) is thus exactly
``BEST_MAE`` = ``NOISE``. On a sample of n reviews it varies around that with a standard deviation
of ``sqrt(NOISE * (1 - NOISE) / n)``.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from ordinal.data import demo_phrases as phrases
from ordinal.data.demo_phrases import ASPECTS, Aspect

GRADES = 5
NOISE = 0.1
BEST_MAE = NOISE
MIN_WORDS, MAX_WORDS = 10, 130

MAIN_WEIGHT = 3
MARGIN = 0.35

# Equally likely values.
SCATTER = (-2, -1, -1, 0, 0, 0, 1, 1, 2)  # an opinion's distance from the clean grade
OPINIONS = (1, 2, 2, 2, 3, 3, 4)  # aspects rated per review
REMARKS = (0, 0, 0, 1, 1, 2)  # neutral facts per review

# Probabilities. NEGATED sets how far a model that only counts words falls behind.
NEGATED = 0.1  # an opinion denies the opposite word
WEIGHTED = 0.2  # the review says which aspect matters most
VERDICT = 0.4  # the review also rates the whole stay
ELSEWHERE = 0.1  # the review also rates another hotel, which does not count
OBSERVED = 0.2  # a very good or very bad opinion is an observation without an adjective
HEDGED = 0.1  # an opinion starts with a hedge such as "I think that"
JOINED = 0.4  # two opinions share a sentence


class Review(NamedTuple):
    """A review, its label, and the grade that the text states (the label before the noise)."""

    text: str
    stars: int
    clean_stars: int


def demo_reviews(rows: int = 2500, seed: int = 1) -> list[Review]:
    """Return ``rows`` distinct reviews. The clean grades are equally frequent, to within one."""
    rng = random.Random(seed)
    grades = [row % GRADES + 1 for row in range(rows)]
    rng.shuffle(grades)
    seen: set[str] = set()
    reviews = []
    for grade in grades:
        text = _text(rng, grade)
        while text in seen or not MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            text = _text(rng, grade)
        seen.add(text)
        reviews.append(Review(text, _add_noise(rng, grade), grade))
    return reviews


def _add_noise(rng: random.Random, grade: int) -> int:
    if rng.random() >= NOISE:
        return grade
    if grade in (1, GRADES):
        return 2 if grade == 1 else GRADES - 1
    return grade + rng.choice((-1, 1))


def _text(rng: random.Random, grade: int) -> str:
    """Compose one review that states ``grade``."""
    count = rng.choice(OPINIONS)
    aspects = rng.sample(ASPECTS, count)
    weighted = count > 1 and rng.random() < WEIGHTED
    with_verdict = rng.random() < VERDICT
    weights = [MAIN_WEIGHT if weighted else 1] + [1] * (count - 1 + with_verdict)
    levels = _levels(rng, grade, weights)

    sentences = _opinion_sentences(rng, aspects, levels[:count])
    extras = _facts(rng)
    if weighted:
        extras.append(_priority(rng, aspects[0]))
    if with_verdict:
        extras.append(rng.choice(phrases.VERDICTS[levels[-1]]))
    for extra in extras:
        sentences.insert(rng.randrange(len(sentences) + 1), extra)
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _facts(rng: random.Random) -> list[str]:
    """Return sentences that do not rate this hotel."""
    facts = [_fact(rng, text) for text in rng.sample(phrases.FACTS, rng.choice(REMARKS))]
    return [*facts, _opinion_elsewhere(rng)] if rng.random() < ELSEWHERE else facts


def _priority(rng: random.Random, main: Aspect) -> str:
    """Return a sentence that gives ``main`` more weight than the other aspects."""
    other = rng.choice([aspect.name for aspect in ASPECTS if aspect != main])
    return rng.choice(phrases.PRIORITIES).format(main=main.name, other=other)


def _levels(rng: random.Random, grade: int, weights: Sequence[int]) -> list[int]:
    """Scatter one level per weight around ``grade`` so that their weighted mean still states it."""
    while True:
        levels = [min(max(grade + rng.choice(SCATTER), 1), GRADES) for _ in weights]
        total = sum(weight * level for weight, level in zip(weights, levels, strict=True))
        if abs(total / sum(weights) - grade) <= MARGIN:
            return levels


def _opinion_sentences(
    rng: random.Random, aspects: Sequence[Aspect], levels: Sequence[int]
) -> list[str]:
    """Return one opinion per aspect in random order, some of them joined in one sentence."""
    used: list[str] = []
    clauses = [_opinion(rng, *pair, used) for pair in zip(aspects, levels, strict=True)]
    signs = [(level > 3) - (level < 3) for level in levels]
    order = list(range(len(clauses)))
    rng.shuffle(order)
    sentences = []
    while order:
        first = order.pop()
        if order and rng.random() < JOINED and "," not in clauses[first] + clauses[order[-1]]:
            second = order.pop()
            contrast = signs[first] != signs[second]
            sentences.append(_join(rng, clauses[first], clauses[second], contrast))
        else:
            sentences.append(clauses[first])
    return sentences


def _opinion(rng: random.Random, aspect: Aspect, level: int, used: list[str]) -> str:
    """Return a clause that rates ``aspect``; its template is not in ``used`` and is added there."""
    if level in aspect.observations and rng.random() < OBSERVED:
        return aspect.observations[level]
    negated = rng.random() < NEGATED
    template = rng.choice(
        [template for template in _templates(level, negated) if template not in used]
    )
    used.append(template)
    # A middling opinion names a good and a bad word, in either order.
    word_level = rng.choice((2, 4)) if level == 3 else level
    if negated:
        word_level = GRADES + 1 - word_level
    word, opposite = _word(rng, aspect, word_level), _word(rng, aspect, GRADES + 1 - word_level)
    clause = template.format(
        s=rng.choice(aspect.subjects), was=aspect.was, it=aspect.it, w=word, o=opposite
    )
    if template.startswith("{s}") and rng.random() < HEDGED:
        return f"{rng.choice(phrases.HEDGES)} {clause}"
    return clause


def _templates(level: int, negated: bool) -> tuple[str, ...]:
    if level == 3:
        return phrases.MIDDLING
    if negated:
        return phrases.STRONG_NEGATIONS if level in (1, GRADES) else phrases.MILD_NEGATIONS
    return phrases.STATEMENTS


def _word(rng: random.Random, aspect: Aspect, level: int) -> str:
    # Half of the words belong to the aspect, however long the lists are.
    return rng.choice(rng.choice((phrases.WORDS, aspect.words))[level])


def _opinion_elsewhere(rng: random.Random) -> str:
    aspect = rng.choice(ASPECTS)
    word = _word(rng, aspect, rng.choice((1, 2, 4, 5)))
    return rng.choice(phrases.ELSEWHERE).format(s=aspect.name, was=aspect.was, w=word)


def _fact(rng: random.Random, template: str) -> str:
    return template.format(n=rng.choice(phrases.NUMBERS), month=rng.choice(phrases.MONTHS))


def _join(rng: random.Random, first: str, second: str, contrast: bool) -> str:
    if not contrast:
        return f"{first}, and {second}"
    return rng.choice(("{}, but {}", "although {}, {}", "{}, although {}")).format(first, second)
