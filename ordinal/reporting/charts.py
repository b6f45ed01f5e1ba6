"""Pictures in SVG: the same bytes for the same figures, whenever they are drawn."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from ordinal.experiments.study import Arm

# Matplotlib's own look whatever the user's settings; text stays text; and ids do not differ.
STYLE: list[str | dict[str, Any]] = [
    "default",
    {"svg.fonttype": "none", "svg.hashsalt": "ordinal", "font.size": 9.0},
]
INK, OTHER_INK = "#1f4e79", "#c2571a"
WIDTH, ROW = 5.5, 0.42  # inches
SMALL = (3.6, 2.6)  # inches: what can be read on a phone


def dots_and_intervals(arms: "Sequence[Arm]", metric: str, reference: str, title: str) -> str:
    """The SVG text of a picture of the arms, from the top in the order given.

    Each has a dot at its mean, a line over its 95 % interval, and below them a faint dot a seed.
    A dashed line marks the mean of the reference, which is the name of one of the arms.
    """
    height = ROW * len(arms) + 0.1
    rows = range(len(arms))
    lines = [[arm.low for arm in arms], [arm.mean for arm in arms], [arm.high for arm in arms]]
    values = [(value, row + 0.22) for row, arm in enumerate(arms) for value in arm.values]
    base = next(arm.mean for arm in arms if arm.name == reference)
    with style.context(STYLE):
        # The axes fill the figure, and what stands around them makes the picture as much larger
        # as it needs: a long name takes nothing from the axes.
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axvline(base, color="grey", lw=0.8, ls="--", label=f"mean of {reference}")
        intervals = axes.plot(lines, [rows] * 3, "o-", color=INK, lw=1.6, markevery=[1])
        intervals[0].set_label("mean, 95 % interval")
        axes.plot(
            *zip(*values, strict=True), "o", color=INK, ms=3.5, mew=0, alpha=0.4, label="one seed"
        )
        axes.set_ylim(len(arms) - 0.4, -0.6)
        # Names are no formulas, even with two dollar signs.
        axes.set_yticks(rows, [arm.name for arm in arms], parse_math=False)
        axes.set_xlabel(metric, parse_math=False)
        axes.set_title(title, parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.spines[["left", "right", "top"]].set_visible(False)
        legend = figure.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.45 / height), ncols=3, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        picture = io.StringIO()
        figure.savefig(
            picture, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None}
        )
    return picture.getvalue()


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_label: str, y_label: str
) -> str:
    """An SVG element of one or two lines, given by name as their x, whole numbers, and their y."""

    def draw(axes: Axes) -> None:
        for (name, points), ink in zip(lines.items(), (INK, OTHER_INK), strict=False):
            axes.plot(*points, "o-", color=ink, lw=1.2, ms=2.5, mew=0, label=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))

    return _element(draw, x_label, y_label)


def reliability_diagram(table: pd.DataFrame) -> str:
    """An SVG element of `plots.reliability`: a disc a bin, its area the share of the rows."""

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

    return _element(draw, "probability of the likeliest label", "share in which it is right")


def _element(draw: Callable[[Axes], None], x_label: str, y_label: str) -> str:
    """A picture as an element of a page: on the page's ground, with no id that another has."""
    salt = {"svg.hashsalt": f"{x_label}, {y_label}"}
    with style.context([*STYLE, salt, {"figure.facecolor": "none", "axes.facecolor": "none"}]):
        figure = Figure(figsize=SMALL, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set(xlabel=x_label, ylabel=y_label)
        axes.spines[["right", "top"]].set_visible(False)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False)
        picture = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(picture, format="svg", metadata=nothing)
    text = picture.getvalue()
    # The hashed ids are referred to; the others number what is drawn, from 1 in every picture.
    return re.sub(r' id="[^"]*_\d+"', "", text[text.index("<svg") :])
