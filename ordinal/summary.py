"""The tables people read: a model beside the baselines, and one run beside another."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from ordinal.comparison import Difference

NAMES = {"median": "median", "tfidf": "TF-IDF"}


def results_table(metrics: dict[str, Any]) -> Table:
    """Test metrics, one a row: of the baselines, of the model, and the model's 95 % interval."""
    data, baselines = metrics["data"], metrics["baseline"]
    kind = "synthetic reviews" if data["synthetic"] else "reviews"
    table = Table(title=f"Test rows of {data['name']} ({data['rows']} {kind} in all)")
    table.add_column("metric")
    for name in baselines:
        table.add_column(NAMES.get(name, name), justify="right")
    table.add_column("this model", justify="right", style="bold")
    table.add_column("95 % interval", justify="right")
    for metric, value in metrics["test"].items():
        interval = metrics["test_95_percent"][metric]
        table.add_row(
            metric,
            *(_figure(figures[metric]) for figures in baselines.values()),
            _figure(value),
            f"{_figure(interval['low'])} to {_figure(interval['high'])}",
        )
    conformal = metrics["test_conformal"]
    table.caption = (
        f"Intervals of labels, {conformal['mean_width']:.2f} wide on average, hold the truth in "
        f"{conformal['coverage']:.1%} of the reviews (asked for: {conformal['asked']:.0%})."
    )
    return table


def comparison_table(first: str, second: str, differences: "dict[str, Difference]") -> Table:
    """One metric a row: both runs, their difference, its 95 % interval, and the p-value."""
    table = Table(title=f"{second} against {first}, test rows")
    for index, heading in enumerate(_headings(first, second)):
        table.add_column(heading, justify="right" if index else "left")
    for row in _rows(differences):
        table.add_row(*row)
    return table


def comparison_markdown(first: str, second: str, differences: "dict[str, Difference]") -> str:
    """The same as `comparison_table`, for a pull request."""
    headings = _headings(first, second)
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *_rows(differences)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _headings(first: str, second: str) -> list[str]:
    return ["metric", first, second, "difference", "95 % interval", "p"]


def _rows(differences: "dict[str, Difference]") -> list[list[str]]:
    return [
        [
            name,
            _figure(figures.first),
            _figure(figures.second),
            f"{figures.difference:+.4f}",
            f"{figures.low:+.4f} to {figures.high:+.4f}",
            f"{figures.p_value:.3f}",
        ]
        for name, figures in differences.items()
    ]


def _figure(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.4f}"
