"""Phrases that the synthetic hotel reviews of `demo.py` are composed of.

Levels run from 1, the worst, to 5, the best. Tables of words have no level 3: a middling opinion
names a good and a bad word.
"""

from typing import NamedTuple


class Aspect(NamedTuple):
    """Phrases about one aspect of a stay. The keys of `words` and `observations` are levels."""

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

# Templates: {s} is the subject, {w} a word of the intended level, {o} one of the opposite level.
STATEMENTS = (
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
# Here {w} is a word of the opposite level: strong words get a strong denial, mild words a mild one.
STRONG_NEGATIONS = (
    "{s} {was} the very opposite of {w}",
    "{s} {was} anything but {w}",
    "nobody in their right mind would call {s} {w}",
    "we had expected {s} to be {w}, but it was the very opposite",
    "we had been told that {s} {was} {w}, and nothing could be further from the truth",
    "whoever wrote that {s} {was} {w} must have meant another house",
)
MILD_NEGATIONS = (
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
