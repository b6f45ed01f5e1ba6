"""Tables that compare runs: two runs metric by metric, and the variants of a study."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ordinal.common.files import for_json
from ordinal.evaluation.results import format_number

if TYPE_CHECKING:
    from ordinal.experiments.comparison import Difference
    from ordinal.experiments.search import Trial
    from ordinal.experiments.variants import Contrast, Variant


def comparison_table(first: str, second: str, differences: "Mapping[str, Difference]") -> Table:
    """One row per metric: both runs, their difference, its 95 % interval, and the p-value."""
    table = Table(title=escape(f"{second} compared with {first}, test rows"))
    for heading in _headings(first, second):
        table.add_column(escape(heading), justify="right" if table.columns else "left")
    for row in _rows(differences):
        table.add_row(*row)
    return table


def comparison_markdown(first: str, second: str, differences: "Mapping[str, Difference]") -> str:
    """Return the rows of `comparison_table` as a Markdown table, for a pull request."""
    headings = _headings(first, second)
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *_rows(differences)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def variants_table(variants: "Sequence[Variant]", title: str, reference: str) -> Table:
    """One row per variant: mean and standard deviation, and the contrast with another variant."""
    table = Table(title=escape(title), box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("variant", "mean", "sd", f"minus {reference}", "p", "p (Holm)"):
        table.add_column(escape(heading), justify="right" if table.columns else "left")
    for variant in variants:
        half = (variant.high - variant.low) / 2
        mean = f"{format_number(variant.mean)} ± {format_number(half)}"
        table.add_row(
            escape(variant.name), mean, format_number(variant.sd), *_contrast(variant.contrast)
        )
    table.caption = (
        "±: half of the 95 % interval, which is symmetric. Intervals and p-values account for "
        + (
            "the variation between seeds and between test rows."
            if len(variants[0].values) > 1
            else "the test rows, but with one seed not for the training."
        )
    )
    return table


def _contrast(contrast: "Contrast | None") -> list[str]:
    if contrast is None:
        return []
    half = (contrast.high - contrast.low) / 2
    return [
        f"{format_number(contrast.difference, '+.4f')} ± {format_number(half)}",
        format_number(contrast.p_value, ".3f"),
        format_number(contrast.p_holm, ".3f"),
    ]


def variants_rows(variants: "Sequence[Variant]") -> list[dict[str, Any]]:
    """Return the figures of `variants_table`, and the value of each seed, for a file."""
    rows = []
    for variant in variants:
        figures = {"mean": variant.mean, "sd": variant.sd, "low": variant.low, "high": variant.high}
        contrast = {
            f"against_reference_{key}": value
            for key, value in (asdict(variant.contrast).items() if variant.contrast else ())
        }
        seeds = {f"seed_{seed}": value for seed, value in enumerate(variant.values, 1)}
        rows.append({"variant": variant.name} | for_json(figures | seeds | contrast))
    return rows


def trials_table(trials: "Sequence[Trial]", metric: str, title: str) -> Table:
    """One row per trial, in the order given: its name, its values, and its score."""
    table = Table(title=escape(title), box=SIMPLE_HEAD, pad_edge=False)
    rows = trials_rows(trials, metric)
    for heading in rows[0]:
        table.add_column(escape(heading), justify="right" if table.columns else "left")
    for row in rows:
        *cells, score = row.values()
        table.add_row(*(escape(f"{cell}") for cell in cells), format_number(score))
    return table


def trials_rows(trials: "Sequence[Trial]", metric: str) -> list[dict[str, Any]]:
    """Return the cells of `trials_table`, for a file."""
    return [
        {"trial": trial.name}
        | {name: "null" if value is None else value for name, value in trial.values.items()}
        | {metric: trial.score}
        for trial in trials
    ]


def _headings(first: str, second: str) -> list[str]:
    return ["metric", first, second, "difference", "95 % interval", "p"]


def _rows(differences: "Mapping[str, Difference]") -> list[list[str]]:
    return [
        [name, format_number(figures.first), format_number(figures.second), *_difference(figures)]
        for name, figures in differences.items()
    ]


def _difference(figures: "Difference") -> list[str]:
    ends = [format_number(end, "+.4f") for end in (figures.low, figures.high)]
    return [
        format_number(figures.difference, "+.4f"),
        " to ".join(ends),
        format_number(figures.p_value, ".3f"),
    ]
