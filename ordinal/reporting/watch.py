"""The comparison of new rows with held-out ones: a table, JSON, and a self-contained web page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ordinal.common.files import for_json
from ordinal.common.types import Floats, Rows
from ordinal.evaluation.drift import Change, Sample, conformal_p_values, log_martingale
from ordinal.evaluation.results import format_number
from ordinal.reporting.charts import curves, paired_bars
from ordinal.reporting.pages import pages

NAMES = {
    "labels": "share of predicted label {label}",
    "width": "mean width of the intervals, in labels",
    "tokens": "mean length, in tokens",
    "unknown": "share of unknown tokens",
    "mae": "mean absolute error, in labels",
    "coverage": "coverage of the intervals (before: its target)",
    "order": "mean rank of the label's surprise among earlier rows",
}
"""Name of each measure."""
TESTS = {
    "labels": "chi-squared test of all labels, random tables",
    "width": "permutation test",
    "tokens": "permutation test",
    "unknown": "permutation test",
    "mae": "permutation test",
    "coverage": "beta-binomial test, one-sided",
    "order": "conformal test martingale",
}
"""The test of each measure."""
EFFECT = (
    "Effect: the difference in standard deviations of a row; for predicted labels, the share of "
    "rows that would need another label."
)
BINS = 10  # of lengths and shares in a chart
POINTS = 200  # of the martingale in a chart


@dataclass(frozen=True)
class Comparison:
    """New rows compared with held-out rows."""

    names: Sequence[str]
    """The labels, lowest first."""
    sources: tuple[str, str]
    """The names of the held-out rows and of the new ones."""
    before: Sample
    now: Sample
    changes: Sequence[Change]
    alpha: float

    def is_alarm(self, change: Change) -> bool:
        """Return whether a measure has changed significantly."""
        return change.p_holm <= self.alpha

    @property
    def alarm(self) -> bool:
        """True if any measure has changed significantly."""
        return any(map(self.is_alarm, self.changes))

    def name(self, change: Change) -> str:
        """Return the name of a measure."""
        label = "" if change.label is None else self.names[change.label]
        return NAMES[change.measure].format(label=label)


def watch_table(comparison: Comparison) -> Table:
    """Return one row per measure: before, now, the effect, and the corrected p-value."""
    before, now = comparison.sources
    table = Table(
        title=escape(f"{now} compared with {before}"),
        box=SIMPLE_HEAD,
        pad_edge=False,
        title_justify="left",
        caption=f"{EFFECT} Alarm: p (Holm) of at most {comparison.alpha:g}.",
        caption_justify="left",
    )
    for heading in ("measure", "before", "now", "effect", "p (Holm)", "alarm"):
        table.add_column(heading, justify="right" if table.columns else "left")
    for change in comparison.changes:
        alarm = "yes" if comparison.is_alarm(change) else "no"
        style = "bold" if comparison.is_alarm(change) else ""
        table.add_row(escape(comparison.name(change)), *_figures(change), alarm, style=style)
    return table


def _figures(change: Change) -> list[str]:
    return [
        format_number(change.before, ".3f"),
        format_number(change.now, ".3f"),
        format_number(change.effect, ".3f" if change.measure == "labels" else "+.3f"),
        "<0.001" if change.p_holm < 0.001 else format_number(change.p_holm, ".3f"),
    ]


def watch_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison for a JSON document."""
    samples = zip(
        ("before", "now"), comparison.sources, (comparison.before, comparison.now), strict=True
    )
    return {
        "alarm": comparison.alarm,
        "alpha": comparison.alpha,
        **{
            key: {
                "source": source,
                "rows": len(sample.predicted),
                "rows_with_label": len(sample.errors),
            }
            for key, source, sample in samples
        },
        "measures": [
            {
                "measure": change.measure,
                **({} if change.label is None else {"label": comparison.names[change.label]}),
                **for_json(
                    {
                        key: value
                        for key, value in asdict(change).items()
                        if key not in ("measure", "label")
                    }
                ),
                "alarm": comparison.is_alarm(change),
            }
            for change in comparison.changes
        ],
    }


def watch_page(comparison: Comparison) -> str:
    """Return the HTML of the page. Text that comes from the data is escaped."""
    rows = [
        {
            "name": comparison.name(change),
            "figures": _figures(change),
            "alarm": comparison.is_alarm(change),
            "test": TESTS[change.measure],
            "chart": _chart(comparison, change.measure),
        }
        for change in comparison.changes
    ]
    template = pages().get_template("watch.html")
    return template.render(comparison=comparison, rows=rows, effect=EFFECT)


def _chart(comparison: Comparison, measure: str) -> str:
    """Draw one measure of both samples as an SVG element."""
    before, now = comparison.before, comparison.now
    numbers = [str(number) for number in range(len(comparison.names) + 1)]
    match measure:
        case "labels":
            return _bars(comparison.names, before.predicted, now.predicted, "predicted label")
        case "width":
            widths = before.widths - 1, now.widths - 1
            return _bars(numbers[1:], *widths, "labels in the interval")
        case "mae":
            return _bars(numbers[:-1], before.errors, now.errors, "error, in labels")
        case "coverage":
            return _coverage_chart(comparison)
        case "order":
            p_values = conformal_p_values(before.scores, now.scores)
            return _martingale_chart(log_martingale(p_values))
        case "unknown" if before.unknown is not None and now.unknown is not None:
            return _histogram(before.unknown, now.unknown, "share of unknown tokens, from", ".2g")
    return _histogram(before.lengths, now.lengths, "tokens, from", ".0f")


def _bars(names: Sequence[str], before: Rows, now: Rows, x_label: str) -> str:
    counts = [np.bincount(rows, minlength=len(names)) for rows in (before, now)]
    shares = [(rows / rows.sum()).tolist() for rows in counts]
    return paired_bars(names, shares[0], shares[1], x_label)


def _histogram(before: Rows | Floats, now: Rows | Floats, x_label: str, form: str) -> str:
    """Draw the shares of rows in bins of equal width, named by their lower ends."""
    together = np.concatenate([before, now])
    edges = np.histogram_bin_edges(together, BINS, (together.min(), together.max() or 1))
    bins = [np.digitize(values, edges[1:-1]) for values in (before, now)]
    return _bars([f"{edge:{form}}" for edge in edges[:-1]], bins[0], bins[1], x_label)


def _coverage_chart(comparison: Comparison) -> str:
    [target] = [one.before for one in comparison.changes if one.measure == "coverage"]
    covered = float(comparison.now.covered.mean())
    names, shares = ["inside", "outside"], [covered, 1 - covered]
    return paired_bars(names, [target, 1 - target], shares, "true label and interval")


def _martingale_chart(path: Floats) -> str:
    """Draw the martingale after at most `POINTS` of the rows, the last among them."""
    rows = np.unique(np.linspace(0, len(path) - 1, POINTS).astype(np.int64))
    points = (rows + 1).tolist(), (path[rows] / np.log(10)).tolist()
    return curves({"martingale": points}, "row", "log10 of the martingale")
