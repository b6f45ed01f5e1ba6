"""Labels as files and catalogs write them: one spelling per label, and safe cells in a CSV."""

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

FORMULA_START = re.compile(r"[=+\-@\t\r]")
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Python's `int` and `float` also read "18_24", "1e1", "nan", "inf" and digits of other scripts.
# Neither pattern has two ways to match the same digits, which would take quadratic time.
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
WHOLE_NUMBER = re.compile(r"([+-]?)0*([0-9]|[1-9][0-9]*)(\.0*)?")
LISTED = 10  # labels that a sentence names


def label_key(value: object) -> str:
    """Return one spelling for a label, however its file writes it.

    4, 4.0, "04" and " 4.0" are the same label, and so are "4.5" and "4.50", and the composed and
    the decomposed form of "élevé" in Unicode. Only digits with an optional sign and decimal point
    are a number.
    """
    if isinstance(value, float | Decimal) and math.isfinite(value):
        return _text_key(f"{Decimal(str(value)):f}")  # without an exponent
    return _text_key(str(value))


@lru_cache(1 << 12)
def _text_key(text: str) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    if not NUMBER.fullmatch(text):
        return text
    whole, _, decimals = text.lstrip("+-").partition(".")
    number = f"{whole.lstrip('0') or '0'}.{decimals}".rstrip("0").removesuffix(".")
    return f"-{number}" if text.startswith("-") and number != "0" else number


def number_of(key: str) -> float | None:
    """Return the finite number that a label is, or None."""
    number = float(key) if NUMBER.fullmatch(key) else math.nan
    return number if math.isfinite(number) else None


def as_label(key: str) -> int | str:
    """Return a label as the catalog lists it: whole numbers as numbers."""
    return int(key) if WHOLE_NUMBER.fullmatch(key) and number_of(key) is not None else key


def list_labels(labels: Sequence[int | str]) -> str:
    """Return the first `LISTED` labels for a sentence, with an ellipsis if there are more."""
    return ", ".join(map(str, labels[:LISTED])) + (", …" if len(labels) > LISTED else "")


def escape_formula(cell: str) -> str:
    """Return a CSV cell that a spreadsheet shows as text instead of computing it.

    A cell that begins with =, +, -, @, a tab or a carriage return gets a leading apostrophe, except
    a plain number such as -1.5. This is the rule of OWASP's page on CSV injection
    (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    if FORMULA_START.match(cell) and not PLAIN_NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
