"""Measure the forms of one model (folder, ONNX, int8) on the same rows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ordinal.distributions.decoding import decode
from ordinal.prediction.load import load
from ordinal.tokenization.tokens import Tokens


@dataclass(frozen=True)
class FormFigures:
    """How one form of a model does on some rows."""

    name: str
    size: int
    """Bytes of its weights' file."""
    speed: float
    """Rows a second."""
    mae: float
    difference: float
    """Largest of a probability from the first form's."""


def compare_forms(forms: Mapping[str, Path], tokens: Tokens) -> list[FormFigures]:
    """Measure several forms of one model on labelled rows; the first is what the others follow."""
    figures: list[FormFigures] = []
    for name, path in forms.items():
        predictor = load(path)
        start = time.perf_counter()
        probabilities = predictor.probabilities(tokens)
        seconds = time.perf_counter() - start
        if not figures:
            first = probabilities
        error = np.abs(decode(probabilities, predictor.rule) - tokens.labels)
        weights = path if path.is_file() else path / "model.safetensors"
        figures.append(
            FormFigures(
                name,
                weights.stat().st_size,
                len(tokens) / seconds,
                float(error.mean()),
                float(np.abs(probabilities - first).max()),
            )
        )
    return figures
