"""Tables for the terminal: results, comparisons of runs, predictions, and the labels of a file."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.color import Color
from rich.markup import escape
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ordinal.common.columns import as_list
from ordinal.evaluation.results import baseline_names, format_number, results_rows, warnings_of

if TYPE_CHECKING:
    from ordinal.own_data.inspection import Facts
    from ordinal.prediction.explanation import Explanation
    from ordinal.prediction.forms import FormFigures
    from ordinal.prediction.predictor import Prediction

TOP_WORDS = 5  # that are listed with their effects
FAINTEST = 0.05  # share of the largest effect; words below are not coloured
BLUE, ORANGE = (86, 160, 230), (240, 140, 60)


def results_table(details: dict[str, Any]) -> Table:
    """Return one row per test metric: the baselines, the model, and its 95 % interval."""
    data = details["data"]
    kind = "synthetic reviews" if data["synthetic"] else "reviews"
    table = Table(title=f"Test rows of {escape(data['name'])} ({data['rows']} {kind} in all)")
    table.add_column("metric")
    for name in baseline_names(details).values():
        table.add_column(name, justify="right")
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


def warning_lines(details: dict[str, Any]) -> list[str]:
    """Return the lines of the warnings about a run, to be printed below its results."""
    return [
        textwrap.fill(f"Warning: {warning}", 80, subsequent_indent="  ", break_on_hyphens=False)
        for warning in warnings_of(details)
    ]


def predictions_table(texts: Sequence[str], predictions: "Sequence[Prediction]") -> Table:
    """One row per text: its beginning, label, interval, and the probability of each label."""
    table = Table()
    table.add_column("text", no_wrap=True, max_width=32)
    table.add_column("label", justify="right", style="bold")
    table.add_column("interval", justify="right")
    for label in predictions[0].probabilities:
        table.add_column(escape(label), justify="right")
    for text, prediction in zip(texts, predictions, strict=True):
        low, high = prediction.low, prediction.high
        interval = low if low == high else f"{low} to {high}"
        percents = [f"{share:.0%}" for share in prediction.probabilities.values()]
        label = prediction.label or ""
        table.add_row(*map(escape, (" ".join(text.split()), label, interval)), *percents)
    return table


def explanation_text(text: str, prediction: "Prediction", explanation: "Explanation") -> Text:
    """Return the prediction, the words with the largest effects, and the text with all in colour.

    Words that moved the prediction up are blue, those that moved it down orange.
    """
    low, high = prediction.low, prediction.high
    interval = low if low == high else f"{low} to {high}"
    listed = ", ".join(f"{word.word} {word.effect:+.2f}" for word in explanation.largest(TOP_WORDS))
    label = "no label" if prediction.label is None else f"label {prediction.label}"
    shown = Text(
        f"{label}, interval {interval}, expected label {explanation.expected:.2f} "
        f"({explanation.baseline:.2f} without the words)\n{listed}\n"
    )
    start = len(shown)
    # Rich drops control characters, which would shift the colours.
    shown.append(re.sub(r"[\r\x07\x08\x0b\x0c]", " ", text) + "\n")
    for word, strength in explanation.strengths():
        if abs(strength) >= FAINTEST:
            place = start + word.start, start + word.end
            shown.stylize(Style(color="black", bgcolor=_shade(strength)), *place)
    return shown


def _shade(strength: float) -> Color:
    """Return the background of a word: white for 0, blue for 1, orange for -1."""
    full = BLUE if strength > 0 else ORANGE
    return Color.from_rgb(*(255 - abs(strength) * (255 - part) for part in full))


def forms_table(forms: "Sequence[FormFigures]") -> Table:
    """One row per form of a model: size, speed, error, and differences from the first form."""
    table = Table(title="Test rows")
    for heading in ("form", "MB", "rows/s", "MAE", "same label", "largest difference", "coverage"):
        table.add_column(heading, justify="left" if heading == "form" else "right")
    for form in forms:
        table.add_row(
            escape(form.name),
            f"{form.size / 1e6:.1f}",
            f"{form.speed:.0f}",
            format_number(form.mae),
            f"{form.agreement:.1%}",
            f"{form.difference:.1e}",
            f"{form.coverage:.1%}",
        )
    return table


def facts_lines(facts: "Facts") -> list[str]:
    """Describe a file of reviews, except its labels."""
    low, middle, high, most = facts.words
    texts = " + ".join(f"'{name}'" for name in as_list(facts.text))
    return [
        f"{facts.path}: {facts.rows} rows",
        f"format: {facts.format.describe()}",
        *(f"{repair}: {count}" for repair, count in facts.repairs.items()),
        f"text in column {texts}: median {middle} words, 9 in 10 have {low} to {high}, "
        f"maximum {most}",
        f"rows that repeat an earlier text: {facts.repeats}",
        f"texts with more than one label: {facts.contradictions}",
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
