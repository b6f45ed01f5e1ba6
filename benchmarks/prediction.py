"""Prediction speed: `Predictor.predict` compared with a transformers pipeline, with a run's model.

The forms of the model are fp32, ONNX, and the cascades of bf16 and int8 with them. The pipeline has
the fastest of several batch sizes. All sides run in turns, and their labels are compared with those
of fp32. The texts are the run's test rows, and random words with the lengths of real reviews.
`make bench` prints the ratios of the medians.
"""

import statistics
import tempfile
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
from ordinal.common.paths import TOKENIZED
from ordinal.distributions.calibration import apply_temperature
from ordinal.distributions.decoding import decode
from ordinal.model.classifier import load_calibration
from ordinal.model.device import has_bf16
from ordinal.model.losses import LOSSES
from ordinal.prediction.bf16 import export_bf16
from ordinal.prediction.onnx import export_onnx, quantize_onnx
from ordinal.tokenization.tokens import Tokens

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


def ours(
    model: Path,
    device: torch.device = CPU,
    precision: Precision = "auto",
    precise: Path | None = None,
) -> Predict:
    accelerator: Accelerator = "gpu" if device.type == "cuda" else "cpu"
    predictor = load(model, precise=precise, accelerator=accelerator, precision=precision)
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


def forms(folder: Path) -> dict[str, Predict]:
    """Export the model to a folder, and return its forms."""
    whole, int8, bf16 = (folder / name for name in ("model.onnx", "int8.onnx", "bf16"))
    validation = Tokens.load(TOKENIZED / "validation.arrow")
    export_onnx(MODEL, whole)
    quantize_onnx(whole, int8, validation)
    sides = {
        "fp32": ours(MODEL, precision="32-true"),
        "ONNX": ours(whole),
        "int8": ours(int8),
        "cascade: int8, ONNX": ours(int8, precise=whole),
    }
    if has_bf16(CPU):
        export_bf16(MODEL, bf16, validation)
        sides |= {"bf16": ours(bf16), "cascade: bf16, fp32": ours(bf16, precise=MODEL)}
    return sides


def compare(name: str, texts: list[str], sides: dict[str, Predict]) -> None:
    """Print the speed and the labels of all forms for some texts."""
    pipelines = {size: pipeline_of(MODEL, CPU, size) for size in BATCH_SIZES}
    best = min(pipelines, key=lambda size: seconds(pipelines[size], texts))
    sides = {f"pipeline, batches of {best}": pipelines[best], **sides}
    labels = {side: np.array(predict(texts)) for side, predict in sides.items()}
    turns = [[seconds(predict, texts) for predict in sides.values()] for _ in range(REPEATS)]
    medians = [statistics.median(side) for side in zip(*turns, strict=True)]
    print(f"\n{len(texts)} texts, {name}")
    print("| form | rows/s | ratio | labels of fp32 |\n|---|---|---|---|")
    for side, median in zip(sides, medians, strict=True):
        same = np.mean(labels[side] == labels["fp32"])
        cells = f"{len(texts) / median:.0f} | {medians[0] / median:.2f} | {same:.2%}"
        print(f"| {side} | {cells} |", flush=True)


def main() -> None:
    logging.set_verbosity_error()
    tokenizer = load(MODEL, accelerator="cpu").tokenizer
    print(f"prediction, medians of {REPEATS}, {torch.get_num_threads()} threads")
    corpora = {
        "with the lengths of real reviews (227 tokens on average)": hotel_lengths(ROWS),
        "short with a long tail (50 tokens on average)": short_lengths(ROWS),
    }
    with tempfile.TemporaryDirectory() as folder:
        sides = forms(Path(folder))
        compare("the run's test rows", test_rows(), sides)
        for name, lengths in corpora.items():
            compare(name, random_texts(lengths, tokenizer), sides)


if __name__ == "__main__":
    main()
