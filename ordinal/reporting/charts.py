"""Charts as SVG text: the same bytes for the same numbers."""

import io
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ordinal.common.types import Floats, Labels

if TYPE_CHECKING:
    from ordinal.experiments.search import Trial
    from ordinal.experiments.variants import Variant

# Matplotlib's defaults instead of the user's settings, text as text, and reproducible ids.
STYLE: list[str | dict[str, Any]] = [
    "default",
    {"svg.fonttype": "none", "svg.hashsalt": "ordinal", "font.size": 9.0},
]
INK, OTHER_INK, GREY = "#1f4e79", "#c2571a", "#777777"
WIDTH, ROW = 5.5, 0.42  # inches
BARS = 25  # of a histogram
SMALL = (3.6, 2.6)  # inches; readable on a phone
MAX_NAMES = 12  # on an axis
CHARACTERS = 40  # on an axis; longer names are drawn at an angle
LONGEST = 14  # characters of a name next to the discs


def dots_and_intervals(
    variants: "Sequence[Variant]", metric: str, reference: str, title: str
) -> str:
    """Draw the variants from top to bottom: mean, 95 % interval, and a faint dot per seed.

    A dashed line marks the mean of the variant called `reference`.
    """
    height = ROW * len(variants) + 0.1
    rows = range(len(variants))
    lines = [
        [variant.low for variant in variants],
        [variant.mean for variant in variants],
        [variant.high for variant in variants],
    ]
    values = [
        (value, row + 0.22) for row, variant in enumerate(variants) for value in variant.values
    ]
    base = next(variant.mean for variant in variants if variant.name == reference)
    with style.context(STYLE):
        # The axes fill the figure. The tight bounding box adds the labels around them, so that a
        # long name does not make the axes smaller.
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axvline(base, color="grey", lw=0.8, ls="--", label=f"mean of {reference}")
        intervals = axes.plot(lines, [rows] * 3, "o-", color=INK, lw=1.6, markevery=[1])
        intervals[0].set_label("mean, 95 % interval")
        axes.plot(
            *zip(*values, strict=True), "o", color=INK, ms=3.5, mew=0, alpha=0.4, label="one seed"
        )
        axes.set_ylim(len(variants) - 0.4, -0.6)
        # A name with two dollar signs is not a formula.
        axes.set_yticks(rows, [variant.name for variant in variants], parse_math=False)
        axes.set_xlabel(metric, parse_math=False)
        axes.set_title(title, parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.spines[["left", "right", "top"]].set_visible(False)
        legend = figure.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.45 / height), ncols=3, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        return _svg(figure, bbox_inches="tight")


def trials_chart(
    trials: "Sequence[Trial]", metric: str, logarithmic: Collection[str], title: str
) -> str:
    """Draw the score of each trial against each of its parameters. The first trial is the best.

    Args:
        trials: the trials that have a score, the best first.
        metric: name of the score.
        logarithmic: the parameters with a logarithmic axis.
        title: title of the chart.
    """
    names = list(trials[0].values)
    scores = [trial.score for trial in trials]
    with style.context(STYLE):
        size = (SMALL[0] * len(names), SMALL[1])
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            values = [trial.values[name] for trial in trials]
            if not all(isinstance(value, int | float) for value in values):
                values = [str(value) for value in values]
            # The best one last, on top of the others.
            axes.scatter(values[1:], scores[1:], color=INK, s=16, lw=0, alpha=0.6)
            axes.scatter(values[:1], scores[:1], color=OTHER_INK, s=40, lw=0, label="best")
            axes.set_xscale("log" if name in logarithmic else axes.get_xscale())
            axes.set_xlabel(name, parse_math=False)
            axes.spines[["right", "top"]].set_visible(False)
        panels[0].set_ylabel(metric, parse_math=False)
        panels[0].legend(frameon=False)
        figure.suptitle(title, parse_math=False)
        return _svg(figure)


def scores_chart(scores: Floats, differs: Labels, title: str) -> str:
    """Draw how many rows have each score, on a logarithmic axis.

    Args:
        scores: score of each row, shape (rows,).
        differs: 1 for the rows whose label is not the suggested one, else 0, shape (rows,).
        title: title of the chart.
    """
    groups = {"the suggested label": scores[differs == 0], "another label": scores[differs == 1]}
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, SMALL[1]), layout="constrained")
        axes = figure.add_subplot()
        ends = float(min(scores.min(), 0)), float(max(scores.max(), 1))
        axes.hist(
            list(groups.values()),
            bins=BARS,
            range=ends,
            color=[INK, OTHER_INK],
            label=list(groups),
            log=True,
        )
        axes.set_xlabel("score")
        axes.set_ylabel("rows")
        axes.set_title(title, parse_math=False)
        axes.spines[["right", "top"]].set_visible(False)
        axes.legend(frameon=False, title="given label")
        return _svg(figure)


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_label: str, y_label: str
) -> str:
    """Draw one or two lines as an SVG element.

    Args:
        lines: by name, the x (whole numbers) and the y of each line.
        x_label: label of the x axis.
        y_label: label of the y axis.
    """

    def draw(axes: Axes) -> None:
        for (name, points), ink in zip(lines.items(), (INK, OTHER_INK), strict=False):
            axes.plot(*points, "o-", color=ink, lw=1.2, ms=2.5, mew=0, label=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))

    return _element(draw, x_label, y_label)


def paired_bars(
    names: Sequence[str], before: Sequence[float], now: Sequence[float], x_label: str
) -> str:
    """Draw two shares per name next to each other, as an SVG element."""

    def draw(axes: Axes) -> None:
        places = range(len(names))
        for shares, ink, side, name in (
            (before, INK, -0.2, "before"),
            (now, OTHER_INK, 0.2, "now"),
        ):
            axes.bar([place + side for place in places], shares, 0.4, color=ink, label=name)
        every = 1 + len(names) // MAX_NAMES
        axes.set_xticks(places[::every], names[::every], parse_math=False)
        is_narrow = sum(map(len, names[::every])) > CHARACTERS
        axes.tick_params(axis="x", labelrotation=30 if is_narrow else 0)
        axes.set_ylim(top=1.3 * axes.get_ylim()[1])  # room for the legend

    return _element(draw, x_label, "share of the rows")


def reliability_diagram(table: pd.DataFrame) -> str:
    """Draw a table of `plot_tables.reliability` as an SVG element.

    Each bin is a point in a disc, whose area is proportional to its share of the rows.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--")
        for (name, bins), ink in zip(
            table.groupby("calibration", sort=False), (OTHER_INK, INK), strict=False
        ):
            areas = 500 * bins["rows"] / bins["rows"].sum()
            points = bins["confidence"], bins["accuracy"]
            axes.scatter(*points, areas, color=ink, alpha=0.45, lw=0)
            axes.plot(*points, "o", color=ink, ms=3, mew=0, label=f"{name} calibration")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))

    return _element(draw, "probability of the most probable label", "accuracy")


def error_discs(names: Sequence[str], shares: Floats) -> str:
    """Draw the shares of `report.signed_errors` as an SVG element: the area of a disc is a share.

    The label with the first name is at the top. A line marks the errors that its rows can have.
    """
    classes = len(names)

    def draw(axes: Axes) -> None:
        for label, name_shares in enumerate(shares.tolist()):
            axes.plot([-label, classes - 1 - label], [label] * 2, color=GREY, lw=0.5, zorder=0)
            for error, share in enumerate(name_shares, 1 - classes):
                ink = GREY if error == 0 else INK if error > 0 else OTHER_INK
                if share > 0:
                    axes.add_patch(Circle((error, label), 0.5 * math.sqrt(share), color=ink, lw=0))
        axes.set_aspect("equal")
        axes.set(xlim=(0.4 - classes, classes - 0.4), ylim=(classes - 0.4, -0.6))
        axes.xaxis.set_major_locator(MaxNLocator(MAX_NAMES, integer=True))
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:+.0f}".replace("-", "−") if x else "0")
        cut = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
        axes.set_yticks(range(classes), cut, parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)

    height = 0.65 + 2.9 * classes / (2 * classes - 1)  # of the labels, with that of the axis
    return _element(draw, "predicted minus true label", "true label", height)


def risk_chart(table: pd.DataFrame) -> str:
    """Draw a table of `plot_tables.risk_coverage` as an SVG element.

    A dashed line marks the error of all rows, which is also that of rows that are left out at
    random.
    """

    def draw(axes: Axes) -> None:
        axes.plot(table["kept"], table["mae"], color=INK, lw=1.2, label="least certain left out")
        everything = float(table["mae"].iloc[-1])
        axes.axhline(everything, color=GREY, lw=0.8, ls="--", label="left out at random")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set(xlim=(0, 1.02), ylim=(0, 1.3 * max(everything, table["mae"].max()) or 1))

    return _element(draw, "share of the rows that keep a label", "their mean absolute error")


def _element(
    draw: Callable[[Axes], None], x_label: str, y_label: str, height: float = SMALL[1]
) -> str:
    """Draw a transparent SVG element, whose ids differ from those of other elements of the page."""
    salt = {"svg.hashsalt": f"{x_label}, {y_label}"}
    with style.context([*STYLE, salt, {"figure.facecolor": "none", "axes.facecolor": "none"}]):
        figure = Figure(figsize=(SMALL[0], height), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.spines[["right", "top"]].set_visible(False)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False)
        text = _svg(figure, without=("Date", "Creator", "Format", "Type"))
    # Other parts of the SVG refer to the hashed ids only. The numbered ids start at 1 in each
    # element and would not be unique on the page.
    element = re.sub(r' id="[^"]*_\d+"', "", text[text.index("<svg") :])
    return element.replace("<svg", f'<svg role="img" aria-label="Chart: {x_label}, {y_label}"', 1)


def _svg(figure: Figure, without: Sequence[str] = ("Date", "Creator"), **options: Any) -> str:
    """Return a figure as SVG, `without` some of the metadata."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(without), **options)
    return buffer.getvalue()
