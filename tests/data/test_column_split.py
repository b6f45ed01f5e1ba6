"""Splits by a column: given parts, groups, and dates."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit

from ordinal.common.errors import UserError
from ordinal.common.parts import PART_OF, part_of
from ordinal.common.paths import PARTS
from ordinal.data.column_split import codes_of, given_split, group_split, time_split
from ordinal.data.dates import times_of
from ordinal.data.split import shuffle_split

SHARES = (0.7, 0.1, 0.2)

shares_of_parts = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20)).map(
    lambda weights: tuple(np.array(weights) / sum(weights))
)
seeds = st.integers(0, 2**32 - 1)


def column(values: list[object], to: pa.DataType | None = None) -> pa.ChunkedArray:
    """Return a column in two chunks, as a file with two row groups has it."""
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], to), pa.array(values[half:], to)])


def as_codes(groups: list[int]) -> np.ndarray:
    return codes_of(column([f"customer {group}" for group in groups], pa.string()))[0]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), shares_of_parts, seeds)
def test_no_group_is_in_two_parts(groups: list[int], shares: tuple[float, ...], seed: int) -> None:
    if len(set(groups)) < 3:
        with pytest.raises(UserError, match="different values: 3 are needed, one for each part"):
            group_split(as_codes(groups), "customer", shares, seed)
        return
    parts = group_split(as_codes(groups), "customer", shares, seed)
    table = pd.DataFrame({"group": groups, "part": parts})
    assert (table.groupby("group")["part"].nunique() == 1).all()
    assert set(parts) == {0, 1, 2}
    again = group_split(as_codes(groups), "customer", shares, seed)
    np.testing.assert_array_equal(again, parts)


@given(st.lists(st.integers(1, 20), min_size=60, max_size=120), seeds)
def test_the_shares_of_rows_miss_by_less_than_the_largest_group(
    sizes: list[int], seed: int
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes).tolist()
    parts = group_split(as_codes(groups), "customer", SHARES, seed)
    rows = np.bincount(parts, minlength=3)
    assert np.abs(rows - np.array(SHARES) * len(groups)).max() <= max(sizes)


def test_groups_of_one_size_are_split_as_scikit_learn_splits_them_and_by_the_seed() -> None:
    groups = np.repeat(np.arange(100), 5)
    parts = group_split(groups, "customer", SHARES, 1)
    splitter = GroupShuffleSplit(1, test_size=0.2, random_state=0)
    _, test = next(splitter.split(groups, groups=groups))
    assert (parts == 2).sum() == len(test)
    assert np.bincount(parts).tolist() == [350, 50, 100]
    assert (group_split(groups, "customer", SHARES, 2) != parts).any()
    frequencies = np.mean(
        [group_split(groups, "customer", SHARES, seed) == 2 for seed in range(300)], axis=0
    )
    assert np.abs(frequencies - 0.2).max() < 6 * np.sqrt(0.2 * 0.8 / 300)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_with_most_rows_is_in_the_part_for_training(seed: int) -> None:
    groups = np.array([0] * 700 + [*range(1, 301)])
    parts = group_split(groups, "customer", SHARES, seed)
    assert np.bincount(parts).tolist() == pytest.approx([700, 100, 200], abs=10)


@pytest.mark.parametrize("value", [None, "", " \t"])
def test_a_row_without_a_group_is_refused_and_named(value: str | None) -> None:
    codes, _ = codes_of(column(["a", "b", value, "c", None], pa.string()))
    with pytest.raises(UserError) as raised:
        group_split(codes, "customer", SHARES, 1)
    assert str(raised.value).startswith(
        "split.column: column 'customer' in row 3 of data/raw/reviews.parquet is empty, as in 1 "
        "more: fill it or remove the row"
    )


@given(
    st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), min_size=3, max_size=100),
    shares_of_parts,
)
def test_time_splits_are_ordered_and_keep_equal_times_together(
    times: list[datetime], shares: tuple[float, ...]
) -> None:
    texts = [time.isoformat(sep=" ") for time in times]
    if len(set(times)) < 3:
        with pytest.raises(UserError, match="different dates: 3 are needed"):
            time_split(column(texts), "day", shares)
        return
    parts = time_split(column(texts), "day", shares)
    rows = pd.DataFrame({"time": times, "part": parts})
    assert (rows.groupby("time")["part"].nunique() == 1).all()
    ends = rows.groupby("part")["time"].agg(["min", "max"])
    assert list(ends.index) == [0, 1, 2]
    assert ends["max"][0] < ends["min"][1]
    assert ends["max"][1] < ends["min"][2]
    typed = time_split(column(list(times), pa.timestamp("us")), "day", shares)
    np.testing.assert_array_equal(typed, parts)


def test_different_times_get_exactly_the_shares() -> None:
    days = [
        date(2020, 1, 1) + timedelta(int(day)) for day in np.random.default_rng(0).permutation(1000)
    ]
    parts = time_split(column(days), "day", SHARES)
    assert np.bincount(parts).tolist() == [700, 100, 200]


@pytest.mark.parametrize(
    "spellings",
    [
        ["2021-02-03", "2021-02-03T04:05:06", "20210204", "2021-02-05 01:00+02:00"],
        ["3/2/2021", "13/2/2021", "1/12/2021"],
        ["2/3/2021", "2/13/2021", "12/1/2021"],
        ["03.02.2021 10:00", "13.02.2021 09:00", "01.12.2021"],
        ["2019", "2020", "2021"],
        ["1612310400", "1612310400.5", "1812310400"],
        [1612310400, 1612310401, 1812310400],
        [datetime(2021, 1, 1), datetime(2021, 1, 2, tzinfo=UTC), date(2021, 1, 3)],
    ],
    ids=str,
)
def test_usual_spellings_of_dates_are_read_in_their_order(spellings: list[object]) -> None:
    times = times_of(spellings, str)
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize(
    "numbers",
    [["20240131", "2025"], ["202401", "20240201"], ["1612310400", "1612310400000"]],
    ids=str,
)
def test_numbers_of_different_units_are_refused(numbers: list[str]) -> None:
    with pytest.raises(UserError, match=r"^1 is \d+, and 0 is \d+, which has another unit: write"):
        times_of(numbers, str)
    assert len(times_of(["9999", "10000"], str)) == 2  # counted, not dated


def test_zones_count() -> None:
    east = timezone(timedelta(hours=2))
    times = times_of(["2021-01-01T12:00+02:00", "2021-01-01T11:00", "2021-01-01T10:00Z"], str)
    assert times[0] == times[2] == times[1] - 3600
    assert times_of([datetime(2021, 1, 1, 12, tzinfo=east)], str)[0] == times[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["2021-01-02", "soon", "2021-01-03"],
            "in row 2 of data/raw/reviews.parquet is 'soon', wh",
        ),
        (["2021-02-30", "2021-01-02"], "in row 1 of data/raw/reviews.parquet is '2021-02-30', whi"),
        (
            ["3/2/2021", "4/2/2021", "1/3/2021"],
            "in row 1 of data/raw/reviews.parquet is '3/2/2021'",
        ),
        (["13/2/2021", "2/13/2021", "1/3/2021"], "is '2/13/2021', which is not a date: write"),
        (["5", "4", "1"], "in row 1 of data/raw/reviews.parquet is '5', which is not a date"),
        ([5, 4, 1], "in row 1 of data/raw/reviews.parquet is '5', which is not a date"),
        (["2021-01-02", None, "2021-01-03"], "in row 2 of data/raw/reviews.parquet is empty"),
    ],
)
def test_a_value_that_is_no_date_is_refused_with_its_row(
    values: list[object], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        time_split(column(values), "day", SHARES)
    assert message in str(raised.value)
    assert str(raised.value).startswith("split.column: column 'day' in row")


names = st.sampled_from([*PART_OF, *map(str.upper, PART_OF), " Test ", "Valid"])


@given(st.lists(names, min_size=1, max_size=60).map(lambda drawn: [*drawn, "train", "test", "dev"]))
def test_given_parts_are_those_of_the_column(values: list[str]) -> None:
    parts, moved = given_split(column(values), "part", SHARES, 1)
    assert [PARTS[part] for part in parts] == [part_of(value) for value in values]
    assert moved == 0


@given(st.lists(st.booleans(), min_size=20, max_size=200), shares_of_parts, seeds)
def test_a_missing_validation_part_is_cut_from_train(
    is_test: list[bool], shares: tuple[float, ...], seed: int
) -> None:
    values = ["test" if one else "train" for one in [*is_test, True, False]]
    parts, moved = given_split(column(values), "part", shares, seed)
    rows = values.count("train")
    assert (parts == 1).sum() == moved == round(rows * shares[1] / (shares[0] + shares[1]))
    np.testing.assert_array_equal(parts == 2, np.array(values) == "test")
    again, _ = given_split(column(values), "part", shares, seed)
    np.testing.assert_array_equal(again, parts)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["train", "tset"],
            "row 2 of data/raw/reviews.parquet is 'tset': it must be one of train,",
        ),
        (["train", "test", None], "in row 3 of data/raw/reviews.parquet is empty"),
        ([1, 2, 3], "in row 1 of data/raw/reviews.parquet is '1': it must be one of train,"),
        (["train", "dev"], "split.method is given, but no row is for test: add such rows"),
        (["test", "dev"], "split.method is given, but no row is for train: add such rows"),
    ],
)
def test_wrong_parts_are_refused(values: list[object], message: str) -> None:
    with pytest.raises(UserError) as raised:
        given_split(column(values), "part", SHARES, 1)
    assert message in str(raised.value)


@given(st.integers(1, 500), seeds, shares_of_parts)
def test_shuffle_equals_the_tutorials_pandas_code_on_any_table(
    rows: int, seed: int, shares: tuple[float, ...]
) -> None:
    df = pd.DataFrame({"row": range(rows)})
    df = df.sample(frac=1, random_state=seed).reset_index(drop=True)
    train, validation = int(df.shape[0] * shares[0]), int(df.shape[0] * shares[1])
    parts = shuffle_split(rows, shares, seed)
    oracle = np.empty(rows, np.int8)
    oracle[df.iloc[:train]["row"]] = 0
    oracle[df.iloc[train : train + validation]["row"]] = 1
    oracle[df.iloc[train + validation :]["row"]] = 2
    np.testing.assert_array_equal(parts, oracle)
