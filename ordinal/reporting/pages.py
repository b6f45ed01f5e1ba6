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
    found.filters |= {"count": _count, "number": format_number, "percent": _percent}
    return found


def _count(number: int) -> str:
    return f"{number:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
