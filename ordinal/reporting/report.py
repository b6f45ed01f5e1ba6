"""One web page about a run: self-contained, the same bytes for the same run."""

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from ordinal.cards.model_card import METRICS
from ordinal.evaluation.metrics import confusion_matrix
from ordinal.evaluation.predictions import probabilities_of
from ordinal.reporting.charts import curves, reliability_diagram
from ordinal.reporting.run import Run, Stage
from ordinal.reporting.terminal import NAMES, results_rows

MOST_WRONG = 10  # reviews shown
SHOWN = 500  # characters of each


def report(run: Run) -> str:
    """The HTML text of the page. What comes from the data stands in it as text, never as markup."""
    names, plots = run.facts["labels"], run.plots
    labels, predicted = (run.predictions[name].to_numpy() for name in ("label", "predicted"))
    confusion = confusion_matrix(labels, predicted, len(names))
    rows_per_class = confusion.sum(axis=1)
    pages = Environment(
        loader=PackageLoader("ordinal.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"count": _count, "figure": _figure, "percent": _percent}
    return pages.get_template("report.html").render(
        run=run,
        names=names,
        baseline_names={name: NAMES.get(name, name) for name in run.metrics["baseline"]},
        meanings=METRICS,
        results=results_rows(run.metrics),
        confusion=confusion.tolist(),
        mae_per_class=plots["mae_per_class"].assign(rows=rows_per_class[rows_per_class > 0]),
        widths=coverage_by_width(run.predictions),
        wrong=most_wrong(run.predictions),
        shown=SHOWN,
        layers=list(layers(run.stages)),
        pictures=_pictures(plots),
    )


def coverage_by_width(predictions: pd.DataFrame) -> pd.DataFrame:
    """Of each `width` of the intervals: the `rows`, and how often the true label is in."""
    low, high, label = (predictions[name] for name in ("low", "high", "label"))
    table = pd.DataFrame({"width": high - low + 1, "holds": (low <= label) & (label <= high)})
    groups = table.groupby("width")["holds"].agg(rows="size", coverage="mean")
    return groups.reset_index()


def most_wrong(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest error; of equal ones those whose true label was thought least likely.

    At most `MOST_WRONG`, and none that is right. `error`, `distribution` and `of_truth`, the
    probability of the true label, are new columns.
    """
    distributions = probabilities_of(predictions)
    table = predictions.assign(
        error=(predictions["predicted"] - predictions["label"]).abs(),
        distribution=distributions.tolist(),
        of_truth=distributions[np.arange(len(predictions)), predictions["label"]],
    )
    order = ["error", "of_truth", "row"]
    table = table[table["error"] > 0].sort_values(order, ascending=[False, True, True])
    return table.head(MOST_WRONG)


def layers(stages: Mapping[str, Stage]) -> Iterator[list[str]]:
    """The names of the stages, each layer reading from those above it."""
    sorter = TopologicalSorter({name: stage.after for name, stage in stages.items()})
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield sorted(ready)
        sorter.done(*ready)


def _pictures(plots: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    epochs, steps = plots["epochs"].to_dict("list"), plots["steps"].to_dict("list")
    losses = {
        "training": (epochs["epoch"], epochs["train_loss"]),
        "validation": (epochs["epoch"], epochs["validation_loss"]),
    }
    mae = {"validation": (epochs["epoch"], epochs["validation_mae"])}
    return {
        "reliability": reliability_diagram(plots["reliability"]),
        "mae": curves(mae, "epoch", "mean absolute error"),
        "losses": curves(losses, "epoch", "loss"),
        "steps": curves({"training": (steps["step"], steps["train_loss"])}, "step", "loss"),
    }


def _count(number: int) -> str:
    return f"{number:,}"


def _figure(value: float) -> str:
    return f"{value:.4f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
