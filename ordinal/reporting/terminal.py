"""Tables for the terminal: results, comparisons of runs, predictions, and the labels of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from ordinal.common.files import for_json
from ordinal.evaluation.results import BASELINE_NAMES, format_number, results_rows
from ordinal.evaluation.results import format_interval as _interval
from ordinal.evaluation.results import format_number as _figure

if TYPE_CHECKING:
    from ordinal.experiments.comparison import Difference
    from ordinal.experiments.study import Against, Arm
    from ordinal.own_data.inspection import Facts
    from ordinal.prediction.forms import FormFigures
    from ordinal.prediction.predictor import Prediction


def results_table(details: dict[str, Any]) -> Table:
    """Return one row per test metric: the baselines, the model, and its 95 % interval."""
    data = details["data"]
    kind = "synthetic reviews" if data["synthetic"] else "reviews"
    table = Table(title=f"Test rows of {escape(data['name'])} ({data['rows']} {kind} in all)")
    table.add_column("metric")
    for name in details["baseline"]:
        table.add_column(BASELINE_NAMES[name], justify="right")
    table.add_column("this model", justify="right", style="bold")
    table.add_column("95 % interval", justify="right")
    for row in results_rows(details):
        table.add_row(*row)
    labels, calibration = details["interval"], details["calibration"]
    before, after = calibration["before"], calibration["after"]
    table.caption = (
        f"Label intervals contain the true label in {labels['coverage']:.1%} of these rows "
        f"(target {100 * labels['target']:g}%); their mean width is {labels['width']:.2f}. "
        f"Calibration with temperature {calibration['temperature']:.2f}: "
        f"log loss {format_number(before['log_loss'])} before, "
        f"{format_number(after['log_loss'])} after; "
        f"ece {format_number(before['ece'])} before, {format_number(after['ece'])} after."
    )
    return table


def predictions_table(texts: Sequence[str], predictions: "Sequence[Prediction]") -> Table:
    """One text a row: its beginning, the label, the interval, and each label's probability."""
    table = Table()
    table.add_column("text", no_wrap=True, max_width=32)
    table.add_column("label", justify="right", style="bold")
    table.add_column("interval", justify="right")
    for label in predictions[0].probabilities:
        table.add_column(escape(label), justify="right")
    for text, shown in zip(texts, predictions, strict=True):
        interval = shown.low if shown.low == shown.high else f"{shown.low} to {shown.high}"
        chances = [f"{chance:.0%}" for chance in shown.probabilities.values()]
        table.add_row(*map(escape, (" ".join(text.split()), shown.label, interval)), *chances)
    return table


def forms_table(forms: "Sequence[FormFigures]") -> Table:
    """One form of a model a row: its size, speed and MAE, and how far it is from the first."""
    table = Table(title="Test rows")
    for heading in ("form", "MB", "rows/s", "MAE", "largest difference"):
        table.add_column(heading, justify="left" if heading == "form" else "right")
    for form in forms:
        table.add_row(
            escape(form.name),
            f"{form.size / 1e6:.1f}",
            f"{form.speed:.0f}",
            _figure(form.mae),
            f"{form.difference:.1e}",
        )
    return table


def comparison_table(first: str, second: str, differences: "dict[str, Difference]") -> Table:
    """One metric a row: both runs, their difference, its 95 % interval, and the p-value."""
    table = Table(title=escape(f"{second} against {first}, test rows"))
    for index, heading in enumerate(_headings(first, second)):
        table.add_column(escape(heading), justify="right" if index else "left")
    for row in _rows(differences):
        table.add_row(*row)
    return table


def comparison_markdown(first: str, second: str, differences: "dict[str, Difference]") -> str:
    """The same as `comparison_table`, for a pull request."""
    headings = _headings(first, second)
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *_rows(differences)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def arms_table(arms: "Sequence[Arm]", title: str, reference: str) -> Table:
    """One arm a row: mean, standard deviation and interval, and how it differs from another."""
    table = Table(title=escape(title))
    for heading in ("arm", "mean", "sd", "95 % interval", f"against {reference}", "95 % interval"):
        table.add_column(escape(heading), justify="right" if table.columns else "left")
    table.add_column("p", justify="right")
    table.add_column("p (Holm)", justify="right")
    for arm in arms:
        cells = [escape(arm.name), _figure(arm.mean), _figure(arm.sd), _interval(arm.low, arm.high)]
        if arm.against:
            cells += [*_difference(arm.against), f"{arm.against.p_holm:.3f}"]
        table.add_row(*cells)
    seeds = arms[0].runs
    table.caption = (
        "Intervals and p-values take both for chance: the seeds and the test rows."
        if seeds > 1
        else "One seed: intervals and p-values take the test rows for chance, not the training."
    )
    return table


def arms_rows(arms: "Sequence[Arm]") -> list[dict[str, Any]]:
    """The same figures for a file, and the value of each seed."""
    rows = []
    for arm in arms:
        against = {
            f"against_reference_{key}": value
            for key, value in (asdict(arm.against).items() if arm.against else ())
        }
        seeds = {f"seed_{seed}": value for seed, value in enumerate(arm.values, 1)}
        figures = {"mean": arm.mean, "sd": arm.sd, "low": arm.low, "high": arm.high}
        rows.append({"arm": arm.name} | for_json(figures | against | seeds))
    return rows


def facts_lines(facts: "Facts") -> list[str]:
    """Describe a file of reviews, except its labels."""
    low, middle, high, most = facts.words
    return [
        f"{facts.path}: {facts.rows} rows",
        f"text in column '{facts.text}': median {middle} words, 9 in 10 have {low} to {high}, "
        f"maximum {most}",
        f"rows that repeat an earlier text: {facts.repeats}",
        f"texts with different labels: {facts.contradictions}",
        f"blank rows (will be dropped): {facts.blank}",
        f"labels in column '{facts.label}':",
    ]


def labels_table(counts: Mapping[str, int], order: "Sequence[int | str] | None") -> Table:
    """Return one row per label, in their order, or the most frequent first without an order."""
    listed = [str(label) for label in order or ()]
    rest = sorted(counts.keys() - set(listed), key=lambda key: (-counts[key], key))
    table = Table("label")
    for heading in ("rows", "share"):
        table.add_column(heading, justify="right")
    for key in [*listed, *rest]:
        count = counts.get(key, 0)
        table.add_row(escape(key), str(count), f"{count / sum(counts.values()):.1%}")
    return table


def _headings(first: str, second: str) -> list[str]:
    return ["metric", first, second, "difference", "95 % interval", "p"]


def _rows(differences: "dict[str, Difference]") -> list[list[str]]:
    return [
        [
            name,
            _figure(figures.first),
            _figure(figures.second),
            *_difference(figures),
        ]
        for name, figures in differences.items()
    ]


def _difference(figures: "Difference | Against") -> list[str]:
    ends = [_figure(end, "+.4f") for end in (figures.low, figures.high)]
    return [
        _figure(figures.difference, "+.4f"),
        " to ".join(ends),
        _figure(figures.p_value, ".3f"),
    ]
