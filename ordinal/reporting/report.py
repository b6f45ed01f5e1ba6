"""The report of a run: one self-contained web page, the same bytes for the same run."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ordinal.evaluation.metrics import confusion_matrix
from ordinal.evaluation.predictions import probabilities_of
from ordinal.evaluation.results import (
    FEATURES,
    METRIC_NAMES,
    baseline_names,
    results_rows,
    tfidf_features,
    warnings_of,
)
from ordinal.reporting.charts import curves, reliability_diagram
from ordinal.reporting.pages import pages
from ordinal.reporting.run import Run, Stage

if TYPE_CHECKING:
    from ordinal.prediction.explanation import Explainer, Word

MAX_ERRORS = 10  # reviews with the largest errors
MAX_CHARACTERS = 500  # of each of these reviews


def report(run: Run, explainer: "Explainer | None" = None) -> str:
    """Return the HTML of the page. Text that comes from the data is escaped.

    With an `explainer`, the words of the largest errors have colours.
    """
    names, plots = run.facts["labels"], run.plots
    labels, predicted = (run.predictions[name].to_numpy() for name in ("label", "predicted"))
    confusion = confusion_matrix(labels, predicted, len(names))
    rows_per_class = confusion.sum(axis=1)
    template = pages().get_template("report.html")
    return template.render(
        run=run,
        names=names,
        baseline_names=baseline_names(run.details),
        features=FEATURES[tfidf_features(run.details)],
        warnings=warnings_of(run.details),
        metric_names=METRIC_NAMES,
        results=results_rows(run.details),
        confusion=confusion.tolist(),
        mae_per_class=plots["mae_per_class"].assign(rows=rows_per_class[rows_per_class > 0]),
        widths=coverage_by_width(run.predictions),
        largest_errors=_with_pieces(largest_errors(run.predictions), explainer),
        explained=explainer is not None,
        max_characters=MAX_CHARACTERS,
        layers=list(layers(run.stages)),
        charts=_charts(plots),
    )


def coverage_by_width(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return one row per interval width: `width`, `rows`, and the `coverage` of the true label."""
    low, high, label = (predictions[name] for name in ("low", "high", "label"))
    table = pd.DataFrame({"width": high - low + 1, "covered": (low <= label) & (label <= high)})
    groups = table.groupby("width")["covered"].agg(rows="size", coverage="mean")
    return groups.reset_index()


def largest_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the wrong predictions with the largest error, at most `MAX_ERRORS`.

    Of equal errors, those with the least probable true label come first. New columns are `error`,
    `distribution`, and `p_true`, the probability of the true label.
    """
    distributions = probabilities_of(predictions)
    table = predictions.assign(
        error=(predictions["predicted"] - predictions["label"]).abs(),
        distribution=distributions.tolist(),
        p_true=distributions[np.arange(len(predictions)), predictions["label"]],
    )
    order = ["error", "p_true", "row"]
    table = table[table["error"] > 0].sort_values(order, ascending=[False, True, True])
    return table.head(MAX_ERRORS)


def _with_pieces(errors: pd.DataFrame, explainer: "Explainer | None") -> pd.DataFrame:
    """Add the column `pieces`: the beginning of each text, as `coloured_pieces`."""
    texts = errors["text"].tolist()
    pieces = [
        coloured_pieces(text, explainer.explain(text).strengths() if explainer else [])
        for text in texts
    ]
    return errors.assign(pieces=pd.Series(pieces, index=errors.index, dtype=object))


def coloured_pieces(text: str, words: "Sequence[tuple[Word, float]]") -> list[tuple[str, float]]:
    """Return the pieces that the first `MAX_CHARACTERS` consist of, each with its strength.

    The strength is that of a word, from -1 to 1, or 0 between words.
    """
    pieces, end = [], 0
    for word, strength in words:
        pieces += [(text[end : word.start], 0.0), (text[word.start : word.end], strength)]
        end = word.end
    pieces.append((text[end:], 0.0))
    lengths = np.cumsum([0, *(len(piece) for piece, _ in pieces)])
    return [
        (piece[: MAX_CHARACTERS - start], strength)
        for (piece, strength), start in zip(pieces, lengths[:-1].tolist(), strict=True)
        if piece and start < MAX_CHARACTERS
    ]


def layers(stages: Mapping[str, Stage]) -> Iterator[list[str]]:
    """Yield the names of the stages layer by layer; each stage reads from earlier layers."""
    sorter = TopologicalSorter({name: stage.after for name, stage in stages.items()})
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        yield sorted(ready)
        sorter.done(*ready)


def _charts(plots: Mapping[str, pd.DataFrame]) -> dict[str, str]:
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
