"""Web pages from the templates: self-contained, without scripts, with the same style."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from ordinal.evaluation.results import format_number


def pages() -> Environment:
    """Return the templates, with the filters that they use. Text from the data is escaped."""
    found = Environment(
        loader=PackageLoader("ordinal.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "count": _count,
        "number": format_number,
        "percent": _percent,
        "signed": _signed,
        "whole_percent": _whole_percent,
    }
    return found


def _count(number: int) -> str:
    return f"{number:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def _signed(number: float, decimals: int = 4) -> str:
    """Format a difference with its sign; zero has none."""
    shown = format_number(number, f"+.{decimals}f")
    return shown[1:] if shown.strip("+-0.") == "" else shown.replace("-", "\N{MINUS SIGN}")


def _whole_percent(share: float) -> str:
    """Format a share in percent without the sign, or nothing if it is undefined (NaN)."""
    if share != share:
        return ""
    return "<1" if 0 < share < 0.005 else f"{100 * share:.0f}"
