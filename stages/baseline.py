"""Measure what a user would try first, on the same rows."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.errors import report_user_errors
from ordinal.common.files import for_json, read_json, write_json
from ordinal.common.params import Train
from ordinal.common.parquet import open_parquet
from ordinal.common.types import Labels
from ordinal.distributions.decoding import decode
from ordinal.evaluation.baselines import class_shares, tfidf_logistic_regression
from ordinal.evaluation.metrics import all_metrics

LEARNED = 50_000  # training rows, at most; more would take time and memory, and change little
PIECE = 10_000  # rows in memory at once


def main() -> None:
    rule = Train.load().decode
    classes = len(read_json(Path("data/raw/facts.json"))["labels"])
    train_labels, test_labels = read_labels("train"), read_labels("test")
    shares = class_shares(train_labels, len(test_labels), classes)
    # All of the rows, if they are not too many.
    learned = np.random.default_rng(0).permutation(len(train_labels)) < LEARNED
    if len(train_labels) > LEARNED:
        print(f"baseline: tfidf learns from {LEARNED} of the {len(train_labels)} training rows")
    texts = list(chain.from_iterable(read_texts("train", learned)))
    guess = tfidf_logistic_regression(texts, train_labels[learned], classes)
    everything = np.full(len(test_labels), True)
    tfidf = np.concatenate([guess(piece) for piece in read_texts("test", everything)])
    results = {
        "median": for_json(all_metrics(test_labels, decode(shares, "median"), shares)),
        "tfidf": for_json(all_metrics(test_labels, decode(tfidf, rule), tfidf)),
    }
    write_json(Path("metrics/baseline.json"), results)
    for name, figures in results.items():
        print(f"baseline: {name}: test MAE {figures['mae']:.4f}")


def read_labels(part: str) -> Labels:
    table = pq.read_table(f"data/split/{part}.parquet", columns=["label"])
    labels: Labels = table["label"].to_numpy().astype(np.int64)
    return labels


def read_texts(part: str, wanted: npt.NDArray[np.bool_]) -> Iterator[list[str]]:
    """The texts of a part, in pieces, as far as they are wanted."""
    start = 0
    reviews = open_parquet(Path(f"data/split/{part}.parquet"))
    for piece in reviews.iter_batches(PIECE, columns=["text"]):
        yield piece["text"].filter(pa.array(wanted[start : start + len(piece)])).to_pylist()
        start += len(piece)


if __name__ == "__main__":
    with report_user_errors():
        main()
