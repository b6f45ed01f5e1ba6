"""Evaluate two simple baselines on the test rows."""

from collections.abc import Iterator, Sequence
from itertools import chain, compress

import numpy as np
import pyarrow.parquet as pq

from ordinal.common.costs import costs_of
from ordinal.common.errors import report_user_errors
from ordinal.common.files import ROWS_PER_CHUNK, for_json, read_json, write_json
from ordinal.common.params import Train
from ordinal.common.parquet import open_parquet
from ordinal.common.paths import BASELINE, FACTS, SPLIT
from ordinal.common.types import Labels, Probabilities
from ordinal.distributions.decoding import decode
from ordinal.evaluation.baselines import (
    Features,
    choose_features,
    class_shares,
    tfidf_logistic_regression,
)
from ordinal.evaluation.metrics import all_metrics

MAX_TRAINING_ROWS = 50_000  # more take much time and memory, and change the result little


def main() -> None:
    rule = Train.load().decode
    facts = read_json(FACTS)
    names, costs = facts["labels"], costs_of(facts, rule)
    train_labels, test_labels = read_labels("train"), read_labels("test")
    shares = class_shares(train_labels, len(test_labels), len(names))
    tfidf, features = tfidf_distributions(train_labels, len(names))
    predicted = decode(tfidf, rule, costs)
    results = {
        "median": for_json(all_metrics(test_labels, decode(shares, "median"), shares, costs)),
        "tfidf": for_json(all_metrics(test_labels, predicted, tfidf, costs)),
    }
    notes = remarks(predicted, names, features)
    write_json(BASELINE, results | {"tfidf": results["tfidf"] | notes})
    for name, metrics in results.items():
        print(f"baseline: {name}: test MAE {metrics['mae']:.4f}")
    for key, note in notes.items():
        print(f"baseline: tfidf: {key}: {note}")


def read_labels(part: str) -> Labels:
    table = pq.read_table(SPLIT / f"{part}.parquet", columns=["label"])
    labels: Labels = table["label"].to_numpy().astype(np.int64)
    return labels


def tfidf_distributions(train_labels: Labels, classes: int) -> tuple[Probabilities, Features]:
    """Train on at most `MAX_TRAINING_ROWS` random rows, and predict the test rows."""
    sample = np.random.default_rng(0).permutation(len(train_labels)) < MAX_TRAINING_ROWS
    if not sample.all():
        print(f"baseline: tfidf learns from {sample.sum()} of {len(sample)} training rows")
    texts = list(compress(chain.from_iterable(read_texts("train")), sample))
    features = choose_features(texts)
    predict = tfidf_logistic_regression(texts, train_labels[sample], classes, features)
    return np.concatenate([predict(chunk) for chunk in read_texts("test")]), features


def remarks(predicted: Labels, names: Sequence[str], features: Features) -> dict[str, str]:
    """Return the features unless they are words, and a warning if nothing was learned."""
    notes: dict[str, str] = {}
    if features != "words":
        notes["features"] = features
    if (predicted == predicted[0]).all():
        notes["warning"] = (
            f"TF-IDF learned nothing that helps: it predicts {names[predicted[0]]} for every test "
            "row. A model with a lower error has proved little."
        )
    return notes


def read_texts(part: str) -> Iterator[list[str]]:
    reviews = open_parquet(SPLIT / f"{part}.parquet")
    for chunk in reviews.iter_batches(ROWS_PER_CHUNK, columns=["text"]):
        yield chunk["text"].to_pylist()


if __name__ == "__main__":
    with report_user_errors():
        main()
