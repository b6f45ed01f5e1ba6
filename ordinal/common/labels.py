"""Labels as files and catalogs write them: one spelling of each, and none that is a formula."""

import math
import re
from collections.abc import Iterable

from ordinal.common.errors import quoted

FORMULA = re.compile(r"[=+\-@\t\r](?!\d+(\.\d+)?$)")  # a signed number is none


def label_key(value: object) -> str:
    """One spelling for a label, however its file writes it: 4, 4.0 and " 4" are the same."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def number_of(key: str) -> float | None:
    """The finite number that a label is, if it is one."""
    try:
        number = float(key)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def as_label(key: str) -> int | str:
    """A label as the catalog lists it: whole numbers as numbers."""
    number = number_of(key)
    return int(key) if number is not None and number.is_integer() else key


def formula_among(labels: Iterable[object]) -> str | None:
    """What is wrong, where a spreadsheet that opens a CSV file would compute one of the labels."""
    for label in labels:
        if FORMULA.match(str(label)):
            return (
                f"label {quoted(label)} would be a formula in a spreadsheet: let it begin with a "
                "letter or a digit"
            )
    return None
