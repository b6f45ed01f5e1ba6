"""Read dates and times in the usual spellings, to put rows in their order."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import numpy as np

from ordinal.common.errors import UserError, quoted
from ordinal.common.types import Floats

DAY_AND_MONTH = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T,]+(.+))?")
NUMBER = re.compile(r"\d{4,}(\.\d+)?")
DAY_FIRST, MONTH_FIRST = (3, 1), (1, 3)
"""Groups of `DAY_AND_MONTH` with the month and the day, by the order of the two."""

Place = Callable[[int], str]


def times_of(values: Sequence[object], place: Place) -> Floats:
    """Return a number for each value, greater for a later time.

    A value is a date or time; or text in ISO 8601, or with the day and the month before the year;
    or a number of four digits or more, such as a year or a Unix time. Times without a zone are in
    UTC.

    Args:
        values: The values.
        place: Returns the place of the value with a number, for error messages.

    Raises:
        UserError: a value is no such date, the numbers have different units, or it is not clear
            whether the day or the month is first.
    """
    numbers = [_number(value) for value in values]
    if None not in numbers:
        times = np.array(numbers, np.float64)
        _refuse_mixed_units(times, place)
        return times
    moments = [_moment(value) for value in values]
    unread = [index for index, moment in enumerate(moments) if moment is None]
    texts = [str(values[index]).strip() for index in unread]
    for index, moment in zip(unread, _in_one_order(texts, unread, place), strict=True):
        moments[index] = moment
    return np.array([moment.timestamp() for moment in moments if moment], np.float64)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value.strip()) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and value >= 1000 else None  # type: ignore[arg-type, operator]


def _refuse_mixed_units(times: Floats, place: Place) -> None:
    """Refuse years next to days such as 20241231, and Unix times in seconds and milliseconds."""
    units = [_unit(int(time)) for time in times]
    if 0 in units or len(set(units)) < 2:
        return
    index = next(index for index, unit in enumerate(units) if unit != units[0])
    raise UserError(
        f"{place(index)} is {int(times[index])}, and {place(0)} is {int(times[0])}, which has "
        "another unit: write dates as YYYY-MM-DD"
    )


def _unit(number: int) -> int:
    """Return the digits of a year, a month or a day, or a Unix time; 0 for other numbers.

    The digits of Unix times are those of the smallest number of seconds, milliseconds and so on.
    """
    digits = len(str(number))
    if digits >= 9:
        return digits - digits % 3
    year, rest = divmod(number, 10 ** (digits - 4))
    month, day = divmod(rest, 100) if digits == 8 else (rest, 1)
    is_date = 1900 <= year < 2100 and (digits == 4 or 1 <= month <= 12) and 1 <= day <= 31
    return digits if digits in (4, 6, 8) and is_date else 0


def _moment(value: object) -> datetime | None:
    if isinstance(value, date):  # a datetime is one, too
        moment = value if isinstance(value, datetime) else datetime(*value.timetuple()[:3])
    else:
        try:
            moment = datetime.fromisoformat(value.strip() if isinstance(value, str) else "")
        except ValueError:
            return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_one_order(texts: Sequence[str], numbers: Sequence[int], place: Place) -> list[datetime]:
    """Return dates that have the day and the month before the year, all in the same order."""
    orders = [[_read(text, *groups) for text in texts] for groups in (DAY_FIRST, MONTH_FIRST)]
    best, other = sorted(orders, key=lambda moments: moments.count(None))
    if None in best:
        index = best.index(None)
        raise UserError(
            f"{place(numbers[index])} is {quoted(texts[index])}, which is not a date: write dates "
            "as YYYY-MM-DD, or choose another split.column"
        )
    agree = [one == another for one, another in zip(best, other, strict=True)]
    if None not in other and not all(agree):
        index = agree.index(False)
        raise UserError(
            f"{place(numbers[index])} is {quoted(texts[index])}, and it is not clear whether the "
            "day or the month is first: write dates as YYYY-MM-DD"
        )
    return [moment for moment in best if moment]


def _read(text: str, month: int, day: int) -> datetime | None:
    found = DAY_AND_MONTH.fullmatch(text)
    if not found:
        return None
    date_ = f"{found[4]}-{int(found[month]):02}-{int(found[day]):02}"
    return _moment(f"{date_} {found[5]}" if found[5] else date_)
