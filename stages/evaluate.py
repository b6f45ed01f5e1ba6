"""Measure the model on all three parts, and write what it said of every review."""

from pathlib import Path

import pandas as pd

from ordinal.batching import Tokens
from ordinal.classifier import load_classifier
from ordinal.conformal import calibrate, intervals
from ordinal.decoding import decode
from ordinal.errors import report_user_errors
from ordinal.files import read_json, whole_file, whole_folder, write_json
from ordinal.inference import predict_probabilities
from ordinal.metrics import all_metrics, bootstrap_intervals, for_json
from ordinal.plots import plot_tables
from ordinal.split import PARTS
from stages.params import load_params


def main() -> None:
    params = load_params()
    model = load_classifier(Path("models/ordinal"))
    names, rule = model.config.ordinal["labels"], model.config.ordinal["decode"]
    facts = read_json(Path("data/raw/facts.json"))
    metrics: dict[str, object] = {
        "data": {key: facts[key] for key in ("name", "synthetic", "rows")},
        "baseline": read_json(Path("metrics/baseline.json")),
    }
    parts = {part: Tokens.load(Path(f"data/tokenized/{part}.parquet")) for part in PARTS}
    distributions = {
        part: predict_probabilities(
            model, tokens, params.train.accelerator, params.train.precision, part
        )
        for part, tokens in parts.items()
    }
    # The training rows would promise too much: the model knows them.
    validation = parts["validation"].labels, distributions["validation"]
    mass = calibrate(*validation, params.evaluate.coverage)

    with whole_folder(Path("data/predictions")) as out:
        for part, tokens in parts.items():
            labels, probabilities = tokens.labels, distributions[part]
            predicted = decode(probabilities, rule)
            low, high = intervals(probabilities, mass)
            metrics[part] = for_json(all_metrics(labels, predicted, probabilities))
            table = pd.read_parquet(f"data/split/{part}.parquet", columns=["row"])
            table = table.assign(label=labels, predicted=predicted, low=low, high=high)
            table[[f"p_{name}" for name in names]] = probabilities
            table.to_parquet(out / f"{part}.parquet", index=False)

    # The last part is the test: what follows speaks of it alone.
    metrics["test_conformal"] = for_json(
        {
            "asked": params.evaluate.coverage,
            "coverage": float(((low <= labels) & (labels <= high)).mean()),
            "mean_width": float((high - low + 1).mean()),
        }
    )
    bootstrapped = bootstrap_intervals(labels, predicted, probabilities, params.evaluate.resamples)
    metrics["test_95_percent"] = {
        name: for_json({"low": low, "high": high}) for name, (low, high) in bootstrapped.items()
    }
    write_json(Path("metrics/metrics.json"), metrics)
    for name, plot in plot_tables(labels, predicted, names).items():
        with whole_file(Path(f"metrics/plots/{name}.csv")) as path:
            plot.to_csv(path, index=False)


if __name__ == "__main__":
    with report_user_errors():
        main()
