"""The closing table: the model beside the baselines."""

from typing import Any

from rich.table import Table

NAMES = {"median": "always the median", "tfidf": "TF-IDF + logistic regression"}
COLUMNS = ("mae", "rmse", "accuracy", "off_by_one", "qwk", "rps", "ece")


def results_table(
    facts: dict[str, Any], metrics: dict[str, Any], baselines: dict[str, Any]
) -> Table:
    """Test metrics of the baselines and the model, with the model's 95 % intervals."""
    kind = "synthetic reviews" if facts["synthetic"] else "reviews"
    rows = sum(facts["rows_per_label"].values())
    table = Table(title=f"Test rows of {facts['name']} ({rows} {kind} in all)")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for name, figures in baselines.items():
        table.add_row(NAMES.get(name, name), *(_figure(figures[column]) for column in COLUMNS))
    intervals = metrics["test_95_percent"]
    table.add_row(
        "this model", *(_figure(metrics["test"][column]) for column in COLUMNS), style="bold"
    )
    table.add_row(
        "  95 % interval",
        *(f"{_figure(intervals[c]['low'])}–{_figure(intervals[c]['high'])}" for c in COLUMNS),
    )
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
