"""Labels as files and catalogs write them: one spelling per label, and safe cells in a CSV."""

import math
import re
from collections.abc import Sequence

FORMULA_START = re.compile(r"[=+\-@\t\r]")
PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
LISTED = 10  # labels that a sentence names


def label_key(value: object) -> str:
    """Return one spelling for a label, however its file writes it: 4, 4.0 and " 4" are the same."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


def number_of(key: str) -> float | None:
    """Return the finite number that a label is, or None."""
    try:
        number = float(key)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def as_label(key: str) -> int | str:
    """Return a label as the catalog lists it: whole numbers as numbers."""
    number = number_of(key)
    return int(key) if number is not None and number.is_integer() else key


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
