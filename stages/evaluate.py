"""Measure the model on all three parts, and write what it said of every review."""

from pathlib import Path

import pandas as pd

from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file, atomic_folder, for_json, read_json, write_json
from ordinal.common.params import Evaluate, Train
from ordinal.common.paths import PARTS
from ordinal.distributions.calibration import apply_temperature
from ordinal.distributions.conformal import conformal_threshold, intervals
from ordinal.distributions.decoding import decode
from ordinal.evaluation.metrics import all_metrics, bootstrap_intervals, distribution_metrics
from ordinal.evaluation.plot_tables import plot_tables, reliability
from ordinal.model.classifier import load_calibration, load_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.tokenization.tokens import Tokens

MODEL = Path("models/ordinal")


def main() -> None:
    params, train = Evaluate.load(), Train.load()
    model, calibration = load_classifier(MODEL), load_calibration(MODEL)
    network = torch_network(model, train.accelerator, train.precision)
    names, rule = model.config.ordinal["labels"], model.config.ordinal["decode"]
    facts = read_json(Path("data/raw/facts.json"))
    metrics: dict[str, object] = {
        "data": {key: facts[key] for key in ("name", "synthetic", "rows")},
        "baseline": read_json(Path("metrics/baseline.json")),
    }
    mass = conformal_threshold(params.coverage, calibration.scores)

    with atomic_folder(Path("data/predictions")) as out:
        for part in PARTS:
            tokens = Tokens.load(Path(f"data/tokenized/{part}.arrow"))
            labels = tokens.labels
            uncalibrated = predict_probabilities(network, tokens, part)
            probabilities = apply_temperature(uncalibrated, calibration.temperature)
            predicted = decode(probabilities, rule)
            low, high = intervals(probabilities, mass)
            metrics[part] = for_json(all_metrics(labels, predicted, probabilities))
            table = pd.read_parquet(f"data/split/{part}.parquet", columns=["row"])
            table = table.assign(label=labels, predicted=predicted, low=low, high=high)
            chances = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in names])
            pd.concat([table, chances], axis=1).to_parquet(out / f"{part}.parquet", index=False)

    # The last part is the test: what follows speaks of it alone.
    stages = {"before": uncalibrated, "after": probabilities}
    metrics["test_calibration"] = for_json({"temperature": calibration.temperature}) | {
        stage: for_json(distribution_metrics(labels, given)) for stage, given in stages.items()
    }
    metrics["test_conformal"] = for_json(
        {
            "asked": params.coverage,
            "coverage": float(((low <= labels) & (labels <= high)).mean()),
            "mean_width": float((high - low + 1).mean()),
        }
    )
    bootstrapped = bootstrap_intervals(labels, predicted, probabilities, params.resamples)
    metrics["test_95_percent"] = {
        name: for_json({"low": low, "high": high}) for name, (low, high) in bootstrapped.items()
    }
    write_json(Path("metrics/metrics.json"), metrics)
    tables = plot_tables(labels, predicted, tokens.lengths, names)
    tables["reliability"] = reliability(labels, stages)
    for name, plot in tables.items():
        with atomic_file(Path(f"metrics/plots/{name}.csv")) as path:
            plot.to_csv(path, index=False)


if __name__ == "__main__":
    with report_user_errors():
        main()
