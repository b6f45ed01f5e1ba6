"""Read the ranges of a search: parameters of params.yaml and the values that are tried."""

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ordinal.common.errors import UserError, quoted
from ordinal.common.params import SECTIONS
from ordinal.experiments.overrides import SAME_ROWS, SEED, checked_value, refuse_unknown

DIGITS = 3
"""Significant digits of the numbers that are tried, so that people can read and repeat them."""
INTERVAL = re.compile(r"(?P<low>[^\s,]+?)\.\.(?P<high>[^\s,]+?)(?P<log>\s+log)?")


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, both included, evenly or in the logarithm."""

    low: float
    high: float
    log: bool
    whole: bool

    def rounded(self, value: float) -> float:
        """Return the value with `DIGITS` significant digits, and within the ends."""
        if self.whole:
            return int(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """Values without an order."""

    values: tuple[Any, ...]


Space = Mapping[str, Interval | Choice]
"""By dotted name, such as `train.lr`."""


def parse_space(ranges: Sequence[str]) -> Space:
    """Read ranges such as `train.lr=1e-5..1e-3 log` and `train.loss=corn,emd`.

    Raises:
        UserError: there is none, a parameter is unknown, there twice, decides which rows are
            tested, or can't have one of the values.
    """
    space: dict[str, Interval | Choice] = {}
    for text in ranges:
        name, equals, values = (part.strip() for part in text.partition("="))
        place = f"--range {quoted(text)}"
        if not (equals and values):
            raise UserError(f"{place}: write NAME=LOW..HIGH, NAME=LOW..HIGH log, or NAME=A,B,C")
        refuse_unknown(f"--range: {name}", name)
        if name == SEED:
            raise UserError(f"{place}: a seed that suits the validation rows proves nothing")
        if name.startswith(SAME_ROWS):
            raise UserError(f"{place}: trials are compared on the same rows, so set {name} instead")
        if name in space:
            raise UserError(f"{place}: {name} already has a range")
        found = INTERVAL.fullmatch(values)
        space[name] = _interval(place, name, found) if found else _choice(place, name, values)
    if not space:
        raise UserError("name at least one parameter to try values of, with --range")
    return dict(sorted(space.items()))


def contains(space: Space, values: Mapping[str, Any]) -> bool:
    """Return whether each parameter of a space has one of its values."""
    return all(_has(domain, values[name]) for name, domain in space.items())


def size(space: Space) -> float:
    """Return the number of combinations of values; infinity if a range has fractions."""
    total = 1.0
    for domain in space.values():
        if isinstance(domain, Choice):
            total *= len(domain.values)
        else:
            total *= domain.high - domain.low + 1 if domain.whole else float("inf")
    return total


def _has(domain: Interval | Choice, value: Any) -> bool:
    if isinstance(domain, Choice):
        return value in domain.values
    return isinstance(value, int | float) and domain.low <= value <= domain.high


def _interval(place: str, name: str, found: re.Match[str]) -> Interval:
    section, key = name.split(".")
    low, high = (checked_value(place, name, found[end]) for end in ("low", "high"))
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        raise UserError(f"{place}: {name} is no number: list its values, such as NAME=A,B,C")
    if low >= high:
        raise UserError(f"{place}: the first number must be the smaller one")
    log = bool(found["log"])
    if log and low <= 0:
        raise UserError(f"{place}: numbers on a logarithmic scale are above 0")
    kind = SECTIONS[section].model_fields[key].annotation
    return Interval(low, high, log, whole=float not in (kind, *typing.get_args(kind)))


def _choice(place: str, name: str, text: str) -> Choice:
    written = [value.strip() for value in text.split(",")]
    values = [checked_value(place, name, None if value == "null" else value) for value in written]
    if len(set(map(repr, values))) < len(values):
        raise UserError(f"{place}: a value is there twice")
    if len(values) < 2:
        raise UserError(f"{place}: name at least two values, such as NAME=A,B or NAME=LOW..HIGH")
    return Choice(tuple(values))
