"""The report of a run: one self-contained web page, the same bytes for the same run."""

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ordinal.common.types import Floats, Labels
from ordinal.evaluation.abstention import abstention_by_width, risk_curve
from ordinal.evaluation.metrics import confusion_matrix, expected_error
from ordinal.evaluation.predictions import probabilities_of
from ordinal.evaluation.results import (
    FEATURES,
    METRIC_NAMES,
    baseline_names,
    results_rows,
    tfidf_features,
    warnings_of,
)
from ordinal.reporting.against import MAX_CHANGED, OtherRun, compare_runs
from ordinal.reporting.charts import curves, error_discs, reliability_diagram, risk_chart
from ordinal.reporting.pages import pages
from ordinal.reporting.run import Run, Stage
from ordinal.reporting.words import MIN_REVIEWS, choose_reviews, words_by_label

if TYPE_CHECKING:
    from ordinal.prediction.explanation import Explainer, Word

Counts = npt.NDArray[np.int64]

MAX_ERRORS = 10  # reviews with the largest errors
MAX_CHARACTERS = 500  # of each of these reviews


def report(run: Run, explainer: "Explainer | None" = None, other: OtherRun | None = None) -> str:
    """Return the HTML of the page. Text that comes from the data is escaped.

    With an `explainer`, the words of the largest errors have colours, and there is a section on the
    words that moved predictions most. With `other`, there is a comparison with that run.

    Raises:
        UserError: `other` has other test rows or labels.
    """
    names = run.facts["labels"]
    confusion = confusion_matrix(*_classes(run.predictions), len(names))
    errors = signed_errors(confusion)
    template = pages().get_template("report.html")
    return template.render(
        run=run,
        names=names,
        baseline_names=baseline_names(run.details),
        features=FEATURES[tfidf_features(run.details)],
        warnings=warnings_of(run.details),
        metric_names=METRIC_NAMES,
        results=results_rows(run.details),
        against=compare_runs(run, other) if other else None,
        max_changed=MAX_CHANGED,
        confusion=confusion.tolist(),
        signed_errors=errors.tolist(),
        mean_errors=mean_errors(confusion).tolist(),
        mae_per_class=_mae_per_class(run, confusion),
        widths=coverage_by_width(run.predictions),
        risk_areas=risk_areas(run.predictions),
        abstention=_abstention(run.predictions),
        largest_errors=_with_pieces(largest_errors(run.predictions), explainer),
        explained=explainer is not None,
        words=words_by_label(choose_reviews(run.predictions), explainer.explain)
        if explainer
        else [],
        min_reviews=MIN_REVIEWS,
        max_characters=MAX_CHARACTERS,
        layers=list(layers(run.stages)),
        charts=_charts(run.plots) | {"errors": error_discs(names, errors)},
    )


def _classes(predictions: pd.DataFrame) -> tuple[Labels, Labels]:
    """Return the true and the predicted classes."""
    labels, predicted = (predictions[name].to_numpy() for name in ("label", "predicted"))
    return labels, predicted


def _mae_per_class(run: Run, confusion: Counts) -> pd.DataFrame:
    rows = confusion.sum(axis=1)
    return run.plots["mae_per_class"].assign(rows=rows[rows > 0])


def signed_errors(confusion: Counts) -> Floats:
    """Return the share of each true label's rows with each error, shape (K, 2K−1).

    The errors are predicted minus true label, from −(K−1) to K−1. NaN where there is no such
    prediction, and for labels without rows.

    Args:
        confusion: counts of each (label, predicted), shape (K, K).
    """
    classes = len(confusion)
    shares = np.full((classes, 2 * classes - 1), np.nan)
    for label in np.flatnonzero(confusion.sum(axis=1)):
        first = classes - 1 - label
        shares[label, first : first + classes] = confusion[label] / confusion[label].sum()
    return shares


def mean_errors(confusion: Counts) -> Floats:
    """Return the mean of predicted minus true label, by true label; NaN for labels without rows."""
    rows, grid = confusion.sum(axis=1), np.arange(len(confusion))
    sums = (confusion * (grid - grid[:, None])).sum(axis=1)
    means: Floats = np.divide(sums, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    return means


def risk_areas(predictions: pd.DataFrame) -> dict[str, float]:
    """Return the area under the risk-coverage curve: of the model, and if errors were known.

    `model` leaves out the rows with the largest expected error first, `perfect` those with the
    largest error.
    """
    labels, predicted = _classes(predictions)
    errors = np.abs(labels - predicted).astype(np.float64)
    uncertainty = expected_error(predicted, probabilities_of(predictions))
    return {
        "model": float(risk_curve(errors, uncertainty).mean()),
        "perfect": float(risk_curve(errors, errors).mean()),
    }


def _abstention(predictions: pd.DataFrame) -> pd.DataFrame:
    labels, predicted = _classes(predictions)
    widths = (predictions["high"] - predictions["low"] + 1).to_numpy()
    return abstention_by_width(np.abs(labels - predicted).astype(np.float64), widths)


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
        "risk": risk_chart(plots["risk_coverage"]),
        "mae": curves(mae, "epoch", "mean absolute error"),
        "losses": curves(losses, "epoch", "loss"),
        "steps": curves({"training": (steps["step"], steps["train_loss"])}, "step", "loss"),
    }
