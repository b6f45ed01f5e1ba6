"""Measure what a user would try first, on the same rows."""

from pathlib import Path

import pandas as pd

from ordinal.baselines import class_shares, tfidf_logistic_regression
from ordinal.decoding import Labels, decode
from ordinal.errors import report_user_errors
from ordinal.files import for_json, read_json, write_json
from ordinal.metrics import all_metrics
from stages.params import load_params


def main() -> None:
    rule = load_params().train.decode
    classes = len(read_json(Path("data/raw/facts.json"))["labels"])
    train_texts, train_labels = read_part("train")
    test_texts, test_labels = read_part("test")
    shares = class_shares(train_labels, len(test_labels), classes)
    tfidf = tfidf_logistic_regression(train_texts, train_labels, test_texts, classes)
    results = {
        "median": for_json(all_metrics(test_labels, decode(shares, "median"), shares)),
        "tfidf": for_json(all_metrics(test_labels, decode(tfidf, rule), tfidf)),
    }
    write_json(Path("metrics/baseline.json"), results)
    for name, figures in results.items():
        print(f"baseline: {name}: test MAE {figures['mae']:.4f}")


def read_part(part: str) -> tuple[list[str], Labels]:
    table = pd.read_parquet(f"data/split/{part}.parquet")
    return table["text"].tolist(), table["label"].to_numpy("int64")


if __name__ == "__main__":
    with report_user_errors():
        main()
