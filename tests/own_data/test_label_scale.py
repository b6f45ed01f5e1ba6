"""The order of labels, other spellings of them, and bins, as found in a file."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.data.label_reader import LabelReader
from ordinal.own_data.label_scale import Scale, find_scale
from ordinal.own_data.proposal import parse_map

STARS = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("keys", "scale"),
    [
        (["1 star", "2 stars", "3 stars"], Scale([1, 2, 3])),
        (["1/5", "2", "★★★", "4 / 5", "5 out of 5"], Scale(STARS)),
        (["1/5", "2/5", "4/5"], Scale([1, 2, 4], {"1/5": 1, "2/5": 2, "4/5": 4})),
        (["0.5", "1", "1.5"], Scale(["0.5", 1, "1.5"])),
        (["0.5/5", "1/5", "5/5"], Scale(["0.5", 1, 5])),
        ([f"{number}/10" for number in range(11)], Scale(list(range(11)))),
        (["Low", "low", "HIGH"], Scale(["Low", "HIGH"], {"low": "Low"})),
        (["bronze", "gold"], None),
        (["1", "2", "good"], None),
    ],
)
def test_labels_are_found(keys: list[str], scale: Scale | None) -> None:
    classes = {key: 100 - place for place, key in enumerate(keys)}
    assert find_scale(classes, None) == scale
    if scale:
        assert sum(scale.counts(classes).values()) == sum(classes.values())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["4 stars", "good"], "stars has 'good' next to '4 stars': say which label it means with"),
        (["4/5", "4/10"], "stars has '4/5' next to '4/10', which is on another scale"),
        (
            [*(f"{number / 3:.2f}/10" for number in range(30)), "75"],
            "stars has '0.00/10' next to '75', which is on another scale",
        ),
        (["4/5", "7"], "stars has '4/5' next to '7', which is on another scale"),
        (["4/5", "13/12"], "stars has '13/12' next to '4/5'"),
    ],
)
def test_ambiguous_ratings_are_refused(keys: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        find_scale(dict.fromkeys(keys, 9), None, None, "stars")
    assert "--map '" in str(raised.value)


@pytest.mark.parametrize(("key", "nearest"), [("4.5", 5), ("4.5/5", 5), ("4.37", 4)])
def test_a_rare_number_between_whole_ones_is_refused_until_it_is_mapped(
    key: str, nearest: int
) -> None:
    classes = dict.fromkeys(["1", "2", "3", "4", "5"], 20) | {key: 1}
    with pytest.raises(UserError) as raised:
        find_scale(classes, None, None, "r.csv: column 'stars'", {key: 7})
    said = str(raised.value)
    assert said.startswith(f"r.csv: column 'stars' has '{key}' next to whole numbers, in 1 of 101")
    assert "rows, first in row 7 (not counting the header): correct it" in said
    [option] = re.findall("--map '(.*?)'", said)
    found = find_scale(classes, None, parse_map([option]))
    assert found == Scale(STARS, {key: nearest})
    assert find_scale(classes | {key: 2}, None).labels == [1, 2, 3, 4, key.removesuffix("/5"), 5]


def test_given_spellings_make_them_unambiguous() -> None:
    classes = {"4 stars": 9, "1 star": 9, "good": 9}
    found = find_scale(classes, None, parse_map(["good=4"]))
    assert found == Scale([1, 4], {"good": 4})
    assert found.counts(classes) == {"1": 9, "4": 18}
    assert find_scale(classes, [1, 4], {"good": 4}) == found


@pytest.mark.parametrize("option", ["", "x", "x=", "=4"])
def test_a_wrong_spelling_is_refused(option: str) -> None:
    with pytest.raises(UserError, match="--map"):
        parse_map([option])
    with pytest.raises(UserError, match="each spelling once"):
        parse_map(["4=1", "4.0=2"])


@pytest.mark.parametrize(
    ("numbers", "bins"),
    [
        (range(101), [0, 20, 40, 60, 80, 100]),
        ([number / 10 for number in range(51)], [0, 1, 2, 3, 4, 5]),
        ([number / 10 for number in range(101)], [0, 2, 4, 6, 8, 10]),
        (range(50, 101), [50, 60, 70, 80, 90, 100]),
    ],
)
def test_many_numbers_are_put_into_bins(numbers: list[float], bins: list[float]) -> None:
    found = find_scale({f"{number}": 2 for number in numbers}, None)
    assert found == Scale(STARS, bins=bins)


@given(
    st.dictionaries(st.integers(0, 1000).map(lambda n: n / 10), st.integers(1, 50), min_size=22),
    st.sampled_from(["{:g}", "{:g}/100"]),
)
def test_bins_have_rows_and_hold_all_numbers(rows: dict[float, int], form: str) -> None:
    classes: Counter[str] = Counter()
    for number, count in rows.items():
        classes[form.format(number)] += count
    found = find_scale(classes, None)
    if found.bins:
        counts = found.counts(classes)
        assert sum(counts.values()) == sum(rows.values())
        assert min(counts.values()) > 0
        reader = LabelReader(found.labels, bins=found.bins)
        places = [reader.read(form.format(number)).label for number in sorted(rows)]
        assert places == sorted(places)


@given(st.lists(st.integers(0, 20).map(lambda n: n / 2), min_size=2, max_size=12, unique=True))
def test_ratings_keep_their_order(numbers: list[float]) -> None:
    spelled = {number: f"{number:g}/10" for number in numbers}
    found = find_scale(dict.fromkeys(spelled.values(), 3), None)
    reader = LabelReader(found.labels, found.map)
    places = [reader.read(spelled[number]).label for number in sorted(numbers)]
    assert places == list(range(len(numbers)))
