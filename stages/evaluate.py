"""Evaluate the model on all three parts: write its predictions, metrics and plots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ordinal.common.costs import Costs
from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file, atomic_folder, for_json, read_json, write_json
from ordinal.common.params import Evaluate, Train
from ordinal.common.paths import (
    BASELINE,
    DETAILS,
    FACTS,
    METRICS,
    MODEL,
    PARTS,
    PLOTS,
    PREDICTIONS,
    SPLIT,
    SPLIT_COUNTS,
    TOKEN_COUNTS,
    TOKENIZED,
)
from ordinal.common.types import Labels, Probabilities, Rows
from ordinal.distributions.calibration import Calibration, apply_temperature
from ordinal.distributions.conformal import IntervalRule
from ordinal.distributions.decoding import decode
from ordinal.evaluation.metrics import all_metrics, bootstrap_intervals, distribution_metrics
from ordinal.evaluation.plot_tables import plot_tables, reliability, risk_coverage
from ordinal.evaluation.predictions import predictions_table
from ordinal.evaluation.results import headline
from ordinal.model.classifier import load_calibration, load_classifier, torch_network
from ordinal.model.inference import Network, predict_probabilities
from ordinal.tokenization.tokens import Tokens


@dataclass(frozen=True)
class Predictions:
    """Predictions of one part; each array has one row per review."""

    tokens: Tokens
    uncalibrated: Probabilities
    probabilities: Probabilities
    predicted: Labels
    low: Labels
    high: Labels


def main() -> None:
    params, train = Evaluate.load(), Train.load()
    model, calibration = load_classifier(MODEL), load_calibration(MODEL)
    network = torch_network(model, train.accelerator, train.precision)
    names, costs = model.config.ordinal["labels"], model.config.ordinal.get("costs")
    decoded = partial(decode, rule=model.config.ordinal["decode"], costs=costs)
    rule = IntervalRule(params.coverage, params.coverage_by, params.interval)
    report_infinite_thresholds(rule, calibration, names)
    parts = {part: predict(part, network, calibration, decoded, rule) for part in PARTS}
    write_predictions(parts, names, costs)
    details = {
        **upstream_results(),
        **{part: metrics_of(predictions, costs) for part, predictions in parts.items()},
        **uncertainty_of(parts["test"], calibration.temperature, params, costs),
        "interval": label_intervals(parts["test"], params.coverage, names),
    }
    write_json(DETAILS, details)
    write_json(METRICS, headline(details))
    write_plots(parts["test"], names)


def predict(
    part: str,
    network: Network,
    calibration: Calibration,
    decoded: Callable[[Probabilities], Labels],
    rule: IntervalRule,
) -> Predictions:
    tokens = Tokens.load(TOKENIZED / f"{part}.arrow")
    uncalibrated = predict_probabilities(network, tokens, part)
    probabilities = apply_temperature(uncalibrated, calibration.temperature)
    low, high = rule.intervals(probabilities, calibration.scores)
    return Predictions(tokens, uncalibrated, probabilities, decoded(probabilities), low, high)


def report_infinite_thresholds(
    rule: IntervalRule, calibration: Calibration, names: Sequence[str]
) -> None:
    """Print the labels that every interval has to contain."""
    if rule.coverage_by == "none":
        return
    thresholds, of_labels = rule.thresholds(calibration.scores), calibration.scores[rule.interval]
    for name, threshold, scores in zip(names, thresholds, of_labels, strict=True):
        if np.isinf(threshold):
            print(
                f"evaluate: every interval contains {name}: its {len(scores)} validation rows are "
                f"too few for a coverage of {rule.coverage:g}"
            )


def write_predictions(
    parts: Mapping[str, Predictions], names: Sequence[str], costs: Costs | None
) -> None:
    with atomic_folder(PREDICTIONS) as out:
        for part, predictions in parts.items():
            rows, kept = read_rows(part)
            table = predictions_table(
                rows,
                predictions.tokens.labels,
                predictions.predicted,
                (predictions.low, predictions.high),
                predictions.probabilities,
                names,
                kept,
                costs,
            )
            table.to_parquet(out / f"{part}.parquet", index=False)


def read_rows(part: str) -> tuple[Rows, pd.DataFrame | None]:
    """Return the row numbers of a part in data/raw, and its kept columns, if there are any."""
    path = SPLIT / f"{part}.parquet"
    columns = [name for name in pq.read_schema(path).names if name not in ("text", "label")]
    table = pq.read_table(path, columns=columns)
    rows, kept = table["row"].to_numpy(), table.drop_columns("row")
    if not kept.column_names:
        return rows, None
    # In Arrow's types, whole numbers stay so next to missing values.
    return rows, kept.to_pandas(types_mapper=pd.ArrowDtype)


def upstream_results() -> dict[str, Any]:
    """Collect the results of earlier stages, so that readers need only one file."""
    facts = read_json(FACTS)
    changes = {key: nonzero(facts.get(key, {})) for key in ("dropped", "repairs")}
    return {
        "data": {key: facts[key] for key in ("name", "synthetic", "rows")}
        | {key: counts for key, counts in changes.items() if counts},
        "split": read_json(SPLIT_COUNTS),
        "tokens": read_json(TOKEN_COUNTS),
        "baseline": read_json(BASELINE),
    }


def nonzero(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def metrics_of(predictions: Predictions, costs: Costs | None) -> dict[str, float | None]:
    labels = predictions.tokens.labels
    return for_json(all_metrics(labels, predictions.predicted, predictions.probabilities, costs))


def uncertainty_of(
    test: Predictions, temperature: float, params: Evaluate, costs: Costs | None
) -> dict[str, Any]:
    """Return the intervals of the metrics, and the calibration."""
    labels = test.tokens.labels
    bootstrap = bootstrap_intervals(
        labels, test.predicted, test.probabilities, params.resamples, costs
    )
    return {
        "bootstrap": {
            name: for_json({"low": low, "high": high}) for name, (low, high) in bootstrap.items()
        },
        "calibration": {
            **for_json({"temperature": temperature}),
            "before": for_json(distribution_metrics(labels, test.uncalibrated)),
            "after": for_json(distribution_metrics(labels, test.probabilities)),
        },
    }


def label_intervals(test: Predictions, target: float, names: Sequence[str]) -> dict[str, Any]:
    """Return the coverage and width of the label intervals, of all rows and by true label."""
    labels = test.tokens.labels
    figures = {
        "coverage": ((test.low <= labels) & (labels <= test.high)).astype(np.float64),
        "width": (test.high - test.low + 1).astype(np.float64),
    }
    whole = {name: float(values.mean()) for name, values in figures.items()}
    by_label = {
        names[label]: for_json(
            {name: float(values[labels == label].mean()) for name, values in figures.items()}
        )
        for label in np.unique(labels)
    }
    return {**for_json({"target": target, **whole}), "by_label": by_label}


def write_plots(test: Predictions, names: Sequence[str]) -> None:
    labels = test.tokens.labels
    tables = plot_tables(labels, test.predicted, test.tokens.lengths, names)
    distributions = {"before": test.uncalibrated, "after": test.probabilities}
    tables["reliability"] = reliability(labels, distributions)
    tables["risk_coverage"] = risk_coverage(labels, test.predicted, test.probabilities)
    for name, table in tables.items():
        with atomic_file(PLOTS / f"{name}.csv") as path:
            table.to_csv(path, index=False)


if __name__ == "__main__":
    with report_user_errors():
        main()
