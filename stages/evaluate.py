"""Measure the model on all three parts, and write what it said of every review."""

from pathlib import Path

import pandas as pd

from ordinal.batching import Tokens
from ordinal.classifier import load_classifier
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
    with whole_folder(Path("data/predictions")) as out:
        for part in PARTS:
            tokens = Tokens.load(Path(f"data/tokenized/{part}.parquet"))
            probabilities = predict_probabilities(
                model, tokens, params.train.accelerator, params.train.precision, part
            )
            predicted = decode(probabilities, rule)
            metrics[part] = for_json(all_metrics(tokens.labels, predicted, probabilities))
            rows = pd.read_parquet(f"data/split/{part}.parquet", columns=["row"])["row"]
            table = pd.DataFrame({"row": rows, "label": tokens.labels, "predicted": predicted})
            for name, column in zip(names, probabilities.T, strict=True):
                table[f"p_{name}"] = column
            table.to_parquet(out / f"{part}.parquet", index=False)

    # The last part is the test: what follows speaks of it alone.
    intervals = bootstrap_intervals(
        tokens.labels, predicted, probabilities, params.evaluate.resamples
    )
    metrics["test_95_percent"] = {
        name: for_json({"low": low, "high": high}) for name, (low, high) in intervals.items()
    }
    write_json(Path("metrics/metrics.json"), metrics)
    for name, plot in plot_tables(tokens.labels, predicted, names).items():
        with whole_file(Path(f"metrics/plots/{name}.csv")) as path:
            plot.to_csv(path, index=False)


if __name__ == "__main__":
    with report_user_errors():
        main()
