"""Split by a column: parts that are given, groups that stay together, or dates."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ordinal.common.errors import UserError, quoted
from ordinal.common.parts import PART_OF, part_of
from ordinal.common.paths import PARTS, REVIEWS
from ordinal.common.types import Floats, Rows
from ordinal.data.dates import times_of
from ordinal.data.split import TRAIN, VALIDATION, Parts

TRIES = 100  # random orders of the groups
TOLERANCE = 0.01  # of the rows; an order that misses the shares by less is taken at once


def codes_of(column: pa.ChunkedArray) -> tuple[Rows, list[object]]:
    """Return the number of each row's value in a list of the values, -1 for a missing one.

    Blank text is missing. The values are in the order of their first rows.
    """
    if pa.types.is_string(column.type):
        trimmed = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(trimmed, ""), None, column)
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def refuse_missing_values(codes: Rows, name: str) -> None:
    """Pass if no row lacks its value in the column of the split.

    Raises:
        UserError: a row lacks it.
    """
    empty = np.flatnonzero(codes < 0)
    if len(empty):
        more = f", as in {len(empty) - 1} more" if len(empty) > 1 else ""
        raise UserError(
            f"{_place(name, empty[0])} is empty{more}: fill it or remove the row, or choose "
            "another split.column"
        )


def _place(name: str, row: int) -> str:
    return f"split.column: column {quoted(name)} in row {row + 1} of {REVIEWS}"


def given_split(
    column: pa.ChunkedArray, name: str, shares: Sequence[float], seed: int
) -> tuple[Parts, int]:
    """Split as a column says. Without a validation part, a part of train becomes validation.

    Args:
        column: The part of each row: a name in `PART_OF`, in any case.
        name: The name of the column.
        shares: Shares of train, validation and test; those of the first two apply if there is no
            validation part.
        seed: Seed of the choice of validation rows.

    Returns:
        The parts, and the number of rows that were moved from train to validation.

    Raises:
        UserError: a value is no part, or there is no row for train or for the test.
    """
    codes, values = codes_of(column)
    refuse_missing_values(codes, name)
    known = [part_of(str(value)) for value in values]
    for code, value in enumerate(values):
        if known[code] is None:
            raise UserError(
                f"{_place(name, int(np.argmax(codes == code)))} is {quoted(value)}: it must be one "
                f"of {', '.join(PART_OF)}"
            )
    parts = np.array([PARTS.index(part) for part in known if part], np.int8)[codes]
    for part in ("train", "test"):
        if part not in known:
            raise UserError(
                f"split.method is given, but no row is for {part}: add such rows, or choose "
                "another split.method"
            )
    if "validation" in known:
        return parts, 0
    rows = np.flatnonzero(parts == TRAIN)
    moved = round(len(rows) * shares[VALIDATION] / (shares[TRAIN] + shares[VALIDATION]))
    parts[np.random.default_rng(seed).permutation(rows)[:moved]] = VALIDATION
    return parts, moved


def group_split(codes: Rows, name: str, shares: Sequence[float], seed: int) -> Parts:
    """Split at random, with all rows of a group in one part.

    The groups are put in a random order, which is cut where the shares of the rows are best. Of
    several orders, one with nearly the wanted shares is taken.
    `sklearn.model_selection.GroupShuffleSplit` takes shares of the groups, not of the rows.

    Args:
        codes: Group of each row, shape (rows,).
        name: The name of the column of the groups.
        shares: Shares of the parts, which add up to 1.
        seed: Seed of the order.

    Raises:
        UserError: a row has no group, or there are fewer groups than parts.
    """
    refuse_missing_values(codes, name)
    sizes = np.bincount(codes)
    _refuse_few(len(sizes), name, "group")
    return cut_groups(sizes, shares, seed)[codes].astype(np.int8)


def cut_groups(sizes: Rows, shares: Sequence[float], seed: int) -> Rows:
    """Return the part of each group, shape (groups,), at random.

    Args:
        sizes: Rows of each group, at least as many groups as parts.
        shares: Shares of the parts, which add up to 1.
        seed: Seed of the order.
    """
    rows = sizes.sum()
    wanted = np.array(shares) * rows
    draw = np.random.default_rng(seed)
    best, smallest = np.zeros(len(sizes), np.int64), np.inf
    for _ in range(TRIES):
        order = draw.permutation(len(sizes))
        parts = np.empty(len(sizes), np.int64)
        parts[order] = _cut(sizes[order], shares)
        deviation = np.abs(np.bincount(parts, sizes, len(shares)) - wanted).sum()
        if deviation < smallest:
            best, smallest = parts, deviation
        if smallest <= TOLERANCE * rows:
            break
    return best


def time_split(column: pa.ChunkedArray, name: str, shares: Sequence[float]) -> Parts:
    """Split by time: the first rows are for training, the last ones for the test.

    Rows of the same time are in the same part.

    Args:
        column: The date or time of each row.
        name: The name of the column.
        shares: Shares of train, validation and test, which add up to 1.

    Raises:
        UserError: a value is missing or not a date, or there are fewer times than parts.
    """
    codes, values = codes_of(column)
    refuse_missing_values(codes, name)
    times = times_of(values, lambda code: _place(name, int(np.argmax(codes == code))))
    distinct, moment = np.unique(times[codes], return_inverse=True)
    _refuse_few(len(distinct), name, "time")
    return _cut(np.bincount(moment), shares)[moment].astype(np.int8)


def _refuse_few(number: int, name: str, method: str) -> None:
    if number < len(PARTS):
        what = {"group": "values", "time": "dates"}[method]
        raise UserError(
            f"split.method is {method}, but column {quoted(name)} has only {number} different "
            f"{what}: {len(PARTS)} are needed, one for each part"
        )


def _cut(sizes: Rows, shares: Sequence[float]) -> Rows:
    """Return the part of each unit of rows, in their order, with at least one unit per part.

    Args:
        sizes: Rows of each unit, at least as many units as parts.
        shares: Shares of the rows of the parts.
    """
    ends = np.cumsum(sizes)
    wanted: Floats = np.cumsum(shares) * ends[-1]
    parts = np.zeros(len(sizes), np.int64)
    cut, left = 0, len(shares) - 1
    for part, end in enumerate(wanted[:-1], 1):
        nearest = int(np.abs(ends - end).argmin()) + 1
        cut = min(max(nearest, cut + 1), len(sizes) - left)
        parts[cut:] = part
        left -= 1
    return parts
