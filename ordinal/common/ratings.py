"""Ratings as people write them: "4 stars", "4/5", "4 out of 5", "★★★★☆"."""

import re
from dataclasses import dataclass

from ordinal.common.labels import label_key

NUMBER = r"[0-9]{1,4}(?:\.[0-9]{1,4})?"
OUT_OF = re.compile(rf"({NUMBER})( ?/ ?| out of )([1-9][0-9]{{0,3}})( stars)?", re.IGNORECASE)
STARS = re.compile(rf"({NUMBER}) stars?", re.IGNORECASE)
SIGNS = re.compile(r"(★+)(☆*)")


@dataclass(frozen=True)
class Rating:
    """A number in one of the documented spellings."""

    key: str
    """The number, as `label_key` writes it."""
    form: str
    """The spelling, for counts: "N stars", "N/5", "N out of 5", "★★★" or "★★☆"."""
    scale: int | None = None
    """The highest rating, if the spelling contains it."""


def rating_of(key: str) -> Rating | None:
    """Return the rating that a label is a spelling of, or None.

    Plain numbers are none: they are labels as they are.

    Args:
        key: The label, as `label_key` returns it.
    """
    if found := OUT_OF.fullmatch(key):
        number, sign, top, _ = found.groups()
        form = f"N/{top}" if "/" in sign else f"N out of {top}"
        return Rating(label_key(number), form, int(top)) if float(number) <= int(top) else None
    if found := STARS.fullmatch(key):
        return Rating(label_key(found[1]), "N stars")
    if found := SIGNS.fullmatch(key):
        is_open = bool(found[2])
        form = "★★☆" if is_open else "★★★"
        return Rating(str(len(found[1])), form, len(key) if is_open else None)
    return None
