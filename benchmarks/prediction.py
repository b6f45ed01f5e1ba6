"""Prediction speed: `Predictor.predict` compared with a transformers pipeline, with a run's model.

The pipeline has the fastest of several batch sizes. Both sides run in turns, and their labels are
compared. The texts are the run's test rows, and random words with the lengths of real reviews.
`make bench` prints the ratio of the medians.
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

from benchmarks.corpora import hotel_lengths, random_texts, short_lengths
from ordinal import load
from ordinal.common.choices import Accelerator, Precision
from ordinal.distributions.calibration import apply_temperature
from ordinal.distributions.decoding import decode
from ordinal.model.classifier import load_calibration
from ordinal.model.device import has_bf16
from ordinal.model.losses import LOSSES

MODEL = Path("models/ordinal")
CPU = torch.device("cpu")
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
ROWS = 240
REPEATS = 5

Predict = Callable[[list[str]], list[str]]


def test_rows() -> list[str]:
    """The texts of the test rows."""
    rows = pd.read_parquet("data/split/test.parquet", columns=["row"])["row"]
    texts: list[str] = pd.read_parquet("data/raw/reviews.parquet")["text"].iloc[rows].tolist()
    return texts


def ours(model: Path, device: torch.device, precision: Precision) -> Predict:
    accelerator: Accelerator = "gpu" if device.type == "cuda" else "cpu"
    predictor = load(model, accelerator=accelerator, precision=precision)
    return lambda texts: [prediction.label for prediction in predictor.predict(texts)]


def pipeline_of(
    model: Path, device: torch.device, batch_size: int, dtype: torch.dtype = torch.float32
) -> Predict:
    """Labels from the logits of a transformers pipeline, calibrated and decoded as ours are."""
    classify = pipeline("text-classification", model=str(model), device=device, dtype=dtype)
    ordinal = classify.model.config.ordinal
    names = list(classify.model.config.id2label.values())
    temperature = load_calibration(model).temperature

    def predict(texts: list[str]) -> list[str]:
        scores = classify(
            texts, batch_size=batch_size, top_k=None, function_to_apply="none", truncation=True
        )
        found = [{score["label"]: score["score"] for score in row} for row in scores]
        logits = torch.tensor([[row[name] for name in names] for row in found])
        distributions = LOSSES[ordinal["loss"]].probabilities(logits).numpy()
        tempered = apply_temperature(distributions, temperature)
        return [ordinal["labels"][label] for label in decode(tempered, ordinal["decode"])]

    return predict


def seconds(predict: Predict, texts: list[str]) -> float:
    start = time.perf_counter()
    predict(texts)
    return time.perf_counter() - start


def compare(name: str, texts: list[str]) -> None:
    """Print the ratio of both sides for some texts, in each of our precisions."""
    pipelines = {size: pipeline_of(MODEL, CPU, size) for size in BATCH_SIZES}
    best = min(pipelines, key=lambda size: seconds(pipelines[size], texts))
    sides = {"pipeline": pipelines[best], "fp32": ours(MODEL, CPU, "32-true")}
    if has_bf16(CPU):
        sides["bf16"] = ours(MODEL, CPU, "bf16-mixed")
    labels = {side: np.array(predict(texts)) for side, predict in sides.items()}
    turns = [[seconds(predict, texts) for predict in sides.values()] for _ in range(REPEATS)]
    medians = (statistics.median(side) for side in zip(*turns, strict=True))
    speed = dict(zip(sides, (len(texts) / median for median in medians), strict=True))
    there = speed.pop("pipeline")
    print(f"{len(texts)} texts, {name}")
    for side, here in speed.items():
        same = np.mean(labels[side] == labels["pipeline"])
        print(
            f"  {side}: {here / there:.2f} times the pipeline's rows/s, "
            f"the same label for {same:.1%}; {here:.0f} rows/s"
        )
    print(f"  pipeline: {there:.0f} rows/s in batches of {best}, the best of {BATCH_SIZES}")


def main() -> None:
    logging.set_verbosity_error()
    tokenizer = load(MODEL, accelerator="cpu").tokenizer
    print(f"prediction, medians of {REPEATS}, {torch.get_num_threads()} threads")
    corpora = {
        "with the lengths of real reviews (227 tokens on average)": hotel_lengths(ROWS),
        "short with a long tail (50 tokens on average)": short_lengths(ROWS),
    }
    compare("the run's test rows", test_rows())
    for name, lengths in corpora.items():
        compare(name, random_texts(lengths, tokenizer))


if __name__ == "__main__":
    main()
