"""Synthetic hotel reviews in five grades, for trying the pipeline without any download.

Every review is composed from the phrases below, all written for this module:

* An opinion rates one aspect (room, staff, food, location or price) or, as a verdict, the whole
  stay, from 1 to 5. The clean grade is the rounded mean of all opinions in the text. If the text
  names the aspect that matters most, the opinion about it counts ``MAIN_WEIGHT`` times. Means
  further than ``MARGIN`` from a whole grade are drawn again, so no review is a close call.
* Words of praise and of blame alone do not settle it. With probability ``TURNED`` an adjective
  is denied ("hardly clean", or said by somebody who "must have meant another house"), equally
  often for praise and for blame; others state only what was expected. Many verdicts and
  observations come in pairs made of nearly the same words. Other hotels and neutral facts do not
  count at all.
* Label noise: with probability ``NOISE`` the stars are one above or one below the clean grade
  (at the ends always inward), independently of the text.

The text determines the clean grade, so a perfect reader predicts it and is wrong by one star with
probability ``NOISE``. The noise cannot be read from the text, and the clean grade is the median of
the label given the text. The best reachable expected mean absolute error (MAE) is thus exactly
``BEST_MAE`` = ``NOISE``. On a sample of n reviews it varies around that with a standard deviation
of ``sqrt(NOISE * (1 - NOISE) / n)``.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

GRADES = 5
NOISE = 0.1
BEST_MAE = NOISE
MIN_WORDS, MAX_WORDS = 10, 130

MAIN_WEIGHT = 3
MARGIN = 0.35
SCATTER = (-2, -1, -1, 0, 0, 0, 1, 1, 2)  # of an opinion around the clean grade
OPINIONS = (1, 2, 2, 2, 3, 3, 4)  # aspects per review, equally likely; likewise below
REMARKS = (0, 0, 0, 1, 1, 2)  # neutral facts per review

# Probabilities. TURNED sets how far a model that only counts words falls behind.
TURNED = 0.1
WEIGHED = 0.2  # the review says which aspect matters most
VERDICT = 0.4  # it also rates the whole stay
ELSEWHERE_RATE = 0.1  # it rates another hotel, which does not count
OBSERVED = 0.2  # a very good or very bad opinion is an observation without an adjective
HEDGED = 0.1
JOINED = 0.4  # two opinions share a sentence


class Review(NamedTuple):
    """A review, its label and the grade that the text states, before the label noise."""

    text: str
    stars: int
    clean_stars: int


class Aspect(NamedTuple):
    """How to speak about one aspect of a stay; words and observations by level."""

    name: str
    subjects: tuple[str, ...]
    words: dict[int, tuple[str, ...]]
    observations: dict[int, str]
    was: str = "was"
    it: str = "it"


# fmt: off
WORDS = {
    5: ("excellent", "outstanding", "wonderful", "superb", "fantastic", "terrific", "marvellous",
        "brilliant", "perfect", "amazing", "splendid", "first-rate", "fabulous", "magnificent",
        "great", "lovely", "faultless"),
    4: ("good", "nice", "pleasant", "decent", "satisfactory", "agreeable", "pleasing", "all right",
        "fine"),
    2: ("poor", "bad", "mediocre", "disappointing", "unsatisfactory", "disagreeable",
        "unimpressive", "displeasing", "unpleasant"),
    1: ("awful", "terrible", "horrible", "dreadful", "appalling", "atrocious", "abysmal",
        "disgraceful", "catastrophic", "disastrous", "scandalous", "shocking", "deplorable",
        "abominable", "ghastly", "horrendous", "outrageous", "unbearable"),
}
# fmt: on
ASPECTS = (
    Aspect(
        name="the room",
        subjects=("the room", "our room", "the bedroom"),
        words={
            5: ("spotless", "luxurious", "gorgeous"),
            4: ("clean", "quiet", "comfortable", "spacious", "cosy", "bright"),
            2: ("dirty", "noisy", "uncomfortable", "cramped", "draughty", "gloomy"),
            1: ("filthy", "revolting", "uninhabitable"),
        },
        observations={
            5: "we slept in our bed until long after the alarm had rung",
            1: "we lay awake in our bed until long after the bars had closed",
        },
    ),
    Aspect(
        name="the staff",
        subjects=("the staff", "the people at the desk", "the waiters"),
        words={
            5: ("delightful", "adorable", "angelic"),
            4: ("friendly", "helpful", "attentive", "patient", "polite", "competent"),
            2: ("unfriendly", "unhelpful", "careless", "impatient", "grumpy", "clumsy"),
            1: ("hostile", "insulting", "insolent"),
        },
        observations={
            5: "the porter took our bags before we could ask",
            1: "we took our bags ourselves after we had asked the porter twice",
        },
        was="were",
        it="they",
    ),
    Aspect(
        name="the food",
        subjects=("the food", "the breakfast", "the dinner"),
        words={
            5: ("delicious", "exquisite", "heavenly"),
            4: ("tasty", "fresh", "varied", "filling", "wholesome", "well seasoned"),
            2: ("bland", "stale", "monotonous", "greasy", "overcooked", "lukewarm"),
            1: ("inedible", "disgusting", "nauseating"),
        },
        observations={
            5: "our glasses were always full and our plates went back empty",
            1: "our glasses were always empty and our plates went back full",
        },
    ),
    Aspect(
        name="the location",
        subjects=("the location", "the area", "the neighbourhood"),
        words={
            5: ("stunning", "idyllic", "breathtaking"),
            4: ("convenient", "pretty", "safe", "peaceful", "charming", "lively"),
            2: ("inconvenient", "ugly", "unsafe", "hectic", "dull", "shabby"),
            1: ("hideous", "frightening", "nightmarish"),
        },
        observations={
            5: "from the balcony we saw the harbour and could not hear the road",
            1: "from the balcony we heard the road and could not see the harbour",
        },
    ),
    Aspect(
        name="the price",
        subjects=("the price", "the bill", "the rate"),
        words={
            5: ("unbeatable", "sensationally low", "wonderfully cheap"),
            4: ("fair", "reasonable", "modest", "acceptable", "moderate", "affordable"),
            2: ("unfair", "steep", "inflated", "unreasonable", "too high", "excessive"),
            1: ("extortionate", "exorbitant", "ruinous"),
        },
        observations={
            5: "other hotels ask twice the money for half of this",
            1: "other hotels ask half the money for twice this",
        },
    ),
)

# {w} is a word of the intended level and {o} one of the opposite level.
KEEP = (
    "{s} {was} {w}",
    "{s} {was} {w}",
    "{s} {was} simply {w}",
    "we found {s} {w}",
    "{s} turned out to be {w}",
    "all of us thought {s} {w}",
    "I can only call {s} {w}",
    "we had expected {s} to be {o}, but {it} {was} {w}",
    "we had been told that {s} {was} {w}, and that was true",
    "whoever wrote that {s} {was} {w} was right",
)
# {w} is a word of the opposite level: strong words take a strong denial, mild words a mild one.
TURN_STRONG = (
    "{s} {was} the very opposite of {w}",
    "{s} {was} anything but {w}",
    "nobody in their right mind would call {s} {w}",
    "we had expected {s} to be {w}, but it was the very opposite",
    "we had been told that {s} {was} {w}, and nothing could be further from the truth",
    "whoever wrote that {s} {was} {w} must have meant another house",
)
TURN_MILD = (
    "{s} {was} not {w}",
    "{s} {was} not {w} at all",
    "{s} {was} hardly {w}",
    "nothing about {s} was {w}",
    "I would not call {s} {w}",
    "nobody could call {s} {w}",
    "we had been told that {s} {was} {w}, and that was wrong",
)
MIDDLING = (
    "{s} {was} neither {w} nor {o}",
    "{s} {was} {w} in some ways and {o} in others",
    "we could not agree whether {s} {was} {w} or {o}, and both of us had a point",
    "there is little to say about {s} either way",
    "I have neither praise nor complaints for {s}",
)
VERDICTS = {
    5: (
        "we had booked three nights and stayed a week",
        "we came with doubts and left with plans for next summer",
        "at first the children asked when we would leave, and later whether we could stay",
        "we had meant to move to another hotel and asked for more nights here",
        "we have already told our friends to come here next",
    ),
    4: (
        "we would sooner come again than try the house next door",
        "I would come back, though perhaps not every year",
        "there is more to remember than to forget",
    ),
    3: (
        "I would neither recommend the house nor warn anybody off",
        "we might come again and we might not",
        "it was a bed for the night, no more and no less",
    ),
    2: (
        "we would sooner try the house next door than come again",
        "I would not come back, though perhaps others would",
        "there is more to forget than to remember",
    ),
    1: (
        "we had booked a week and stayed three nights",
        "we came with plans for next summer and left with doubts",
        "at first the children asked whether we could stay, and later when we would leave",
        "we had asked for more nights here and moved to another hotel",
        "we have already told our friends not to come here next",
    ),
}
PRIORITIES = (
    "what matters most to us is {main}",
    "we choose a hotel for {main} first and look at everything else second",
    "for us {main} counts for more than all the rest",
    "my brother always asks about {other}, but what matters most to me is {main}",
    "other people may look at {other} first, and we look at {main}",
    "it is {main} that decides for us, and not {other}",
)
ELSEWHERE = (
    "at our last hotel {s} {was} {w}",
    "friends who stayed across the street told us that {s} there {was} {w}",
    "a year ago, in another town, we thought that {s} {was} {w}",
    "in the hotel where my sister works {s} {was} always {w}",
)
FACTS = (
    "we stayed for {n} nights in {month}",
    "I was here for work in {month}",
    "there were {n} of us and a dog",
    "we arrived by train late in the afternoon",
    "the house has {n} floors and a lift",
    "our room was on floor {n} and faced the courtyard",
    "it rained for {n} days",
    "breakfast is served until ten",
    "we had booked by phone in {month}",
    "this was our first visit to the town",
    "the car park is behind the building",
    "we were on our way to a wedding",
)
HEDGES = ("I have to say that", "it seemed to us that", "if I remember rightly,", "I think that")
NUMBERS = ("two", "three", "four", "five", "six")
MONTHS = ("January", "March", "April", "May", "June", "August", "September", "October")


def demo_reviews(rows: int = 2500, seed: int = 1) -> list[Review]:
    """Return ``rows`` distinct reviews; the clean grades are equally frequent (to within one)."""
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
        reviews.append(Review(text, _noisy(rng, grade), grade))
    return reviews


def _noisy(rng: random.Random, grade: int) -> int:
    if rng.random() >= NOISE:
        return grade
    if grade in (1, GRADES):
        return 2 if grade == 1 else GRADES - 1
    return grade + rng.choice((-1, 1))


def _text(rng: random.Random, grade: int) -> str:
    """Write one review that states ``grade``."""
    count = rng.choice(OPINIONS)
    aspects = rng.sample(ASPECTS, count)
    weighed = count > 1 and rng.random() < WEIGHED
    with_verdict = rng.random() < VERDICT
    weights = [MAIN_WEIGHT if weighed else 1] + [1] * (count - 1 + with_verdict)
    levels = _levels(rng, grade, weights)

    used: list[str] = []
    clauses = [_opinion(rng, *pair, used) for pair in zip(aspects, levels, strict=False)]
    signs = [(level > 3) - (level < 3) for level in levels]
    order = list(range(count))
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

    extras = [_fact(rng, text) for text in rng.sample(FACTS, rng.choice(REMARKS))]
    if rng.random() < ELSEWHERE_RATE:
        extras.append(_opinion_elsewhere(rng))
    if weighed:
        other = rng.choice([aspect.name for aspect in ASPECTS if aspect != aspects[0]])
        extras.append(rng.choice(PRIORITIES).format(main=aspects[0].name, other=other))
    if with_verdict:
        extras.append(rng.choice(VERDICTS[levels[-1]]))
    for extra in extras:
        sentences.insert(rng.randrange(len(sentences) + 1), extra)
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def _levels(rng: random.Random, grade: int, weights: Sequence[int]) -> list[int]:
    """Scatter one level per weight around ``grade`` so that their weighted mean still states it."""
    while True:
        levels = [min(max(grade + rng.choice(SCATTER), 1), GRADES) for _ in weights]
        total = sum(weight * level for weight, level in zip(weights, levels, strict=True))
        if abs(total / sum(weights) - grade) <= MARGIN:
            return levels


def _opinion(rng: random.Random, aspect: Aspect, level: int, used: list[str]) -> str:
    if level in aspect.observations and rng.random() < OBSERVED:
        return aspect.observations[level]
    turned = rng.random() < TURNED
    templates: tuple[str, ...] = KEEP
    if level == 3:
        templates = MIDDLING
    elif turned:
        templates = TURN_STRONG if level in (1, GRADES) else TURN_MILD
    template = rng.choice([template for template in templates if template not in used])
    used.append(template)
    # A middling opinion names a good and a bad word, in either order.
    word_level = rng.choice((2, 4)) if level == 3 else level
    if turned:
        word_level = GRADES + 1 - word_level
    word, opposite = _word(rng, aspect, word_level), _word(rng, aspect, GRADES + 1 - word_level)
    clause = template.format(
        s=rng.choice(aspect.subjects), was=aspect.was, it=aspect.it, w=word, o=opposite
    )
    if template.startswith("{s}") and rng.random() < HEDGED:
        return f"{rng.choice(HEDGES)} {clause}"
    return clause


def _word(rng: random.Random, aspect: Aspect, level: int) -> str:
    # Half of the words belong to the aspect, however long the lists are.
    return rng.choice(rng.choice((WORDS, aspect.words))[level])


def _opinion_elsewhere(rng: random.Random) -> str:
    aspect = rng.choice(ASPECTS)
    word = _word(rng, aspect, rng.choice((1, 2, 4, 5)))
    return rng.choice(ELSEWHERE).format(s=aspect.name, was=aspect.was, w=word)


def _fact(rng: random.Random, template: str) -> str:
    return template.format(n=rng.choice(NUMBERS), month=rng.choice(MONTHS))


def _join(rng: random.Random, first: str, second: str, contrast: bool) -> str:
    if not contrast:
        return f"{first}, and {second}"
    return rng.choice(("{}, but {}", "although {}, {}", "{}, although {}")).format(first, second)
