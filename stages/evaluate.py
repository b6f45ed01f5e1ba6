"""Measure the model on all three parts, and write what it said of every review."""

from pathlib import Path

import pandas as pd

from ordinal.batching import Tokens
from ordinal.calibration import temper
from ordinal.classifier import load_calibration, load_classifier, torch_network
from ordinal.conformal import intervals, mass_for
from ordinal.decoding import decode
from ordinal.errors import report_user_errors
from ordinal.files import for_json, read_json, whole_file, whole_folder, write_json
from ordinal.inference import predict_probabilities
from ordinal.metrics import all_metrics, bootstrap_intervals, distribution_metrics
from ordinal.plots import plot_tables, reliability
from ordinal.split import PARTS
from stages.params import load_params

MODEL = Path("models/ordinal")


def main() -> None:
    params = load_params()
    model, calibration = load_classifier(MODEL), load_calibration(MODEL)
    network = torch_network(model, params.train.accelerator, params.train.precision)
    names, rule = model.config.ordinal["labels"], model.config.ordinal["decode"]
    facts = read_json(Path("data/raw/facts.json"))
    metrics: dict[str, object] = {
        "data": {key: facts[key] for key in ("name", "synthetic", "rows")},
        "baseline": read_json(Path("metrics/baseline.json")),
    }
    mass = mass_for(params.evaluate.coverage, calibration.scores)

    with whole_folder(Path("data/predictions")) as out:
        for part in PARTS:
            tokens = Tokens.load(Path(f"data/tokenized/{part}.arrow"))
            labels = tokens.labels
            uncalibrated = predict_probabilities(network, tokens, part)
            probabilities = temper(uncalibrated, calibration.temperature)
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
    tables = plot_tables(labels, predicted, tokens.lengths, names)
    tables["reliability"] = reliability(labels, stages)
    for name, plot in tables.items():
        with whole_file(Path(f"metrics/plots/{name}.csv")) as path:
            plot.to_csv(path, index=False)


if __name__ == "__main__":
    with report_user_errors():
        main()
