"""Measure the forms of one model (folder, ONNX, int8) on the same rows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ordinal.common.types import Probabilities
from ordinal.distributions.conformal import conformal_threshold, intervals
from ordinal.distributions.decoding import decode
from ordinal.prediction.load import load
from ordinal.tokenization.tokens import Tokens


@dataclass(frozen=True)
class FormFigures:
    """Size, speed and error of one form of a model."""

    name: str
    size: int
    """Bytes of the file with the weights."""
    speed: float
    """Rows per second."""
    mae: float
    difference: float
    """Largest absolute difference of a probability from that of the first form."""
    coverage: float
    """Share of the rows whose label is in the form's own 90 % interval."""


def compare_forms(forms: Mapping[str, Path], tokens: Tokens) -> list[FormFigures]:
    """Measure several forms of one model on labelled rows, and compare them with the first form."""
    figures: list[FormFigures] = []
    first: Probabilities | None = None
    for name, path in forms.items():
        predictor = load(path)
        start = time.perf_counter()
        probabilities = predictor.probabilities(tokens)
        seconds = time.perf_counter() - start
        first = probabilities if first is None else first
        error = np.abs(decode(probabilities, predictor.rule) - tokens.labels)
        threshold = conformal_threshold(predictor.coverage, predictor.calibration.scores)
        low, high = intervals(probabilities, threshold)
        weights = path if path.is_file() else path / "model.safetensors"
        figures.append(
            FormFigures(
                name,
                weights.stat().st_size,
                len(tokens) / seconds,
                float(error.mean()),
                float(np.abs(probabilities - first).max()),
                float(((low <= tokens.labels) & (tokens.labels <= high)).mean()),
            )
        )
    return figures
