"""Rows a second of `Predictor.predict` against a transformers pipeline, on the test rows of a run.

The pipeline has the batch size, of `BATCH_SIZES`, that is best for it; both sides run in turns, and
have to say the same labels. Prints the ratio of their medians: `make bench`.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import pipeline
from transformers.utils import logging

from ordinal import Predictor, load
from ordinal.calibration import temper
from ordinal.decoding import decode
from ordinal.losses import LOSSES

MODEL = Path("models/ordinal")
BATCH_SIZES = (1, 8, 16, 32, 64)
REPEATS = 5

Predict = Callable[[list[str]], list[str]]


def reviews() -> list[str]:
    """The texts of the test rows."""
    rows = pd.read_parquet("data/split/test.parquet", columns=["row"])["row"]
    texts: list[str] = pd.read_parquet("data/raw/reviews.parquet")["text"].iloc[rows].tolist()
    return texts


def pipeline_of(predictor: Predictor, batch_size: int) -> Predict:
    """Labels by transformers' own pipeline, its logits read as they are meant."""
    classify = pipeline("text-classification", model=str(MODEL), device="cpu")
    ordinal = classify.model.config.ordinal
    names = list(classify.model.config.id2label.values())

    def predict(texts: list[str]) -> list[str]:
        scores = classify(
            texts, batch_size=batch_size, top_k=None, function_to_apply="none", truncation=True
        )
        found = [{score["label"]: score["score"] for score in row} for row in scores]
        logits = torch.tensor([[row[name] for name in names] for row in found])
        distributions = LOSSES[ordinal["loss"]].probabilities(logits).numpy()
        tempered = temper(distributions, predictor.calibration.temperature)
        return [ordinal["labels"][label] for label in decode(tempered, ordinal["decode"])]

    return predict


def seconds(predict: Predict, texts: list[str]) -> float:
    start = time.perf_counter()
    predict(texts)
    return time.perf_counter() - start


def main() -> None:
    logging.set_verbosity_error()
    texts = reviews()
    predictor = load(MODEL, accelerator="cpu")

    def ours(given: list[str]) -> list[str]:
        return [prediction.label for prediction in predictor.predict(given)]

    sides = {size: pipeline_of(predictor, size) for size in BATCH_SIZES}
    best = min(sides, key=lambda size: seconds(sides[size], texts))
    theirs = sides[best]
    same = np.mean(np.array(ours(texts)) == np.array(theirs(texts)))
    turns = [(seconds(ours, texts), seconds(theirs, texts)) for _ in range(REPEATS)]
    our_time, their_time = (statistics.median(side) for side in zip(*turns, strict=True))
    rows, threads = len(texts), torch.get_num_threads()
    print(f"prediction of {rows} texts, medians of {REPEATS}, {threads} threads")
    print(f"  {their_time / our_time:.2f} times the rows/s of a transformers pipeline")
    print(
        f"  {rows / our_time:.0f} rows/s here; {rows / their_time:.0f} there, in batches of {best},"
    )
    print(f"  the best of {BATCH_SIZES}; the same label for {same:.1%}")


if __name__ == "__main__":
    main()
