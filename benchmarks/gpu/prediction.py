"""Step 5: prediction speed against `transformers.pipeline`, in fp32 and in bf16."""

import contextlib
import io
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers.utils import logging

from benchmarks.corpora import LABELS
from benchmarks.gpu.record import Record, Sizes
from benchmarks.prediction import Predict, ours, pipeline_of, seconds
from benchmarks.reviews import Reviews, synthetic_reviews
from ordinal.common.params import Train
from ordinal.distributions.calibration import calibrate
from ordinal.model.classifier import new_classifier, save_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.prediction.bf16 import export_bf16
from ordinal.tokenization.tokenizer import load_tokenizer, save_tokenizer
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit


def run(sizes: Sizes, record: Record) -> None:
    logging.set_verbosity_error()
    count = sizes.texts
    (reviews, *_) = synthetic_reviews(count, sizes.encoder / "tokenizer.json")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        tokens = _train(sizes, reviews, model)
        texts = [text for text, _ in reviews]
        dtypes = {"fp32": torch.float32}
        if sizes.precision == "bf16-mixed":
            dtypes["bf16"] = torch.bfloat16
        sides = {
            f"pipeline {name}": _best(sizes, record, model, texts, name, kind)
            for name, kind in dtypes.items()
        }
        sides["ours fp32"] = ours(model, sizes.device, "32-true")
        if "bf16" in dtypes:
            sides["ours bf16"] = ours(model, sizes.device, "auto")
            export_bf16(model, Path(folder) / "bf16", tokens)
            sides["ours bf16, uncertain texts again in fp32"] = ours(
                Path(folder) / "bf16", sizes.device, "bf16-mixed", model
            )
        _compare(sizes, record, sides, texts)


def _train(sizes: Sizes, reviews: Reviews, folder: Path) -> Tokens:
    """Train a model whose predictions are not all near ties, and save it; return some rows."""
    tokenizer = load_tokenizer(sizes.encoder, sizes.longest)
    encodings = tokenizer.encode_batch_fast([text for text, _ in reviews])
    tokens = Tokens.of([encoding.ids for encoding in encodings])
    tokens.labels[:] = [stars - 1 for _, stars in reviews]
    recipe = Train(epochs=2, accelerator=sizes.accelerator, precision=sizes.precision)
    model = new_classifier(sizes.encoder, LABELS, recipe.loss, attention_dropout=0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        fit(model, tokens, tokens, recipe)
    network = torch_network(model, sizes.accelerator, "32-true")
    calibration = calibrate(tokens.labels, predict_probabilities(network, tokens))
    folder.mkdir()
    save_tokenizer(sizes.encoder, sizes.longest, folder)
    saved = folder.parent / "tokenizer"
    folder.rename(saved)
    folder.mkdir()
    save_classifier(model.cpu(), calibration, saved, "", folder)
    return tokens


def _best(
    sizes: Sizes, record: Record, model: Path, texts: list[str], name: str, kind: torch.dtype
) -> Predict:
    """The pipeline in its fastest batch size."""
    spent = {}
    for size in sizes.pipeline_batches:
        predict = pipeline_of(model, sizes.device, size, kind)
        predict(texts[: 2 * size])  # warm-up
        spent[size] = seconds(predict, texts)
    best = min(spent, key=spent.__getitem__)
    listed = ", ".join(f"{size}: {len(texts) / spent[size]:.0f}" for size in spent)
    record.add(
        f"pipeline {name}, texts/s by batch size: {listed}",
        **{f"pipeline {name} by batch size": {size: len(texts) / spent[size] for size in spent}},
    )
    return pipeline_of(model, sizes.device, best, kind)


def _compare(sizes: Sizes, record: Record, sides: dict[str, Predict], texts: list[str]) -> None:
    labels = {side: np.array(predict(texts)) for side, predict in sides.items()}  # warm-up
    turns = [[seconds(predict, texts) for predict in sides.values()] for _ in range(sizes.repeats)]
    medians = (statistics.median(side) for side in zip(*turns, strict=True))
    speeds = {side: len(texts) / median for side, median in zip(sides, medians, strict=True)}
    counts = np.unique(labels["ours fp32"], return_counts=True)
    predicted = dict(zip(counts[0].tolist(), counts[1].tolist(), strict=True))
    record.add(f"predicted labels, fp32: {predicted}", speeds=speeds, predicted=predicted)
    for side, speed in speeds.items():
        kind = "bf16" if "bf16" in side else "fp32"
        ratio = speed / speeds[f"pipeline {kind}"]
        same = float(np.mean(labels[side] == labels["pipeline fp32"]))
        record.add(
            f"{side}: {speed:.0f} texts/s, {ratio:.2f} times the pipeline in {kind}, the label of "
            f"the fp32 pipeline for {same:.2%}",
            **{f"ratio, {side}": ratio, f"same label, {side}": same},
        )
