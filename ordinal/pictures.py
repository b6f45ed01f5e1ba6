"""Pictures in SVG: the same bytes for the same figures, whenever they are drawn."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from ordinal.study import Arm

# Matplotlib's own look whatever the user's settings; text stays text; and ids do not differ.
STYLE: list[str | dict[str, Any]] = [
    "default",
    {"svg.fonttype": "none", "svg.hashsalt": "ordinal", "font.size": 9.0},
]
INK = "#1f4e79"
WIDTH, ROW = 5.5, 0.42  # inches


def dots_and_intervals(arms: Sequence[Arm], metric: str, reference: str, title: str) -> str:
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
