"""Tables and sentences of `ordinal audit` for the terminal."""

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from ordinal.evaluation.label_errors import Share


def suspects_table(rows: "pd.DataFrame") -> Table:
    """Return one line per row of a ranked table: its number, labels, score, and text."""
    table = Table(title="The most suspicious labels", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("row", "label", "suggested", "score"):
        table.add_column(heading, justify="right")
    table.add_column("text", no_wrap=True, overflow="ellipsis")
    for row in rows.to_dict("records"):
        labels = escape(str(row["label"])), escape(str(row["suggested"]))
        text = escape(" ".join(str(row["text"]).split()))
        table.add_row(str(row["row"]), *labels, f"{row['score']:.3f}", text)
    return table


def share_sentence(share: "Share") -> str:
    """Return the estimated share of wrong labels, its interval, and what it assumes."""
    low, high = (f"{100 * end:.1f}" for end in (share.low, share.high))
    return (
        f"Estimated share of wrong labels: {100 * share.estimate:.1f} % (95 % interval {low} to "
        f"{high} %).\nIt is that of the {share.rows} rows about which the models are surest. It is "
        "too high if the models\nare often wrong about them, and too low if most wrong labels are "
        "those of hard texts."
    )
