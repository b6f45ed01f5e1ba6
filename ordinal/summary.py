"""The closing table: the model beside the baselines."""

from typing import Any

from rich.table import Table

NAMES = {"median": "median", "tfidf": "TF-IDF"}


def results_table(
    facts: dict[str, Any], metrics: dict[str, Any], baselines: dict[str, Any]
) -> Table:
    """Test metrics, one a row: of the baselines, of the model, and the model's 95 % interval."""
    kind = "synthetic reviews" if facts["synthetic"] else "reviews"
    table = Table(title=f"Test rows of {facts['name']} ({facts['rows']} {kind} in all)")
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
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
