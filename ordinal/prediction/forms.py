"""Measure the forms of one model (folder, ONNX, int8, bf16) on the same rows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ordinal.common.types import Probabilities
from ordinal.distributions.decoding import decode
from ordinal.prediction.load import load
from ordinal.tokenization.tokens import Tokens


@dataclass(frozen=True)
class Form:
    """A form of a model."""

    path: Path
    precise: Path | None = None
    """The precise form of a cascade."""

    @property
    def size(self) -> int:
        """Bytes of the files with the weights."""
        paths = [self.path, self.precise] if self.precise else [self.path]
        files = [path if path.is_file() else path / "model.safetensors" for path in paths]
        return sum(file.stat().st_size for file in files)


@dataclass(frozen=True)
class FormFigures:
    """Size, speed and error of one form of a model."""

    name: str
    size: int
    """Bytes of the files with the weights."""
    speed: float
    """Rows per second."""
    mae: float
    agreement: float
    """Share of the rows whose label is that of the first form."""
    difference: float
    """Largest absolute difference of a probability from that of the first form."""
    coverage: float
    """Share of the rows whose label is in the form's own 90 % interval."""


def compare_forms(forms: Mapping[str, Form], tokens: Tokens) -> list[FormFigures]:
    """Measure several forms of one model on labelled rows, and compare them with the first form."""
    figures: list[FormFigures] = []
    first: Probabilities | None = None
    for name, form in forms.items():
        predictor = load(form.path, precise=form.precise)
        start = time.perf_counter()
        probabilities = predictor.probabilities(tokens)
        seconds = time.perf_counter() - start
        first = probabilities if first is None else first
        decoded = partial(decode, rule=predictor.rule, costs=predictor.costs)
        labels = decoded(probabilities)
        low, high = predictor.intervals(probabilities)
        figures.append(
            FormFigures(
                name,
                form.size,
                len(tokens) / seconds,
                float(np.abs(labels - tokens.labels).mean()),
                float((labels == decoded(first)).mean()),
                float(np.abs(probabilities - first).max()),
                float(((low <= tokens.labels) & (tokens.labels <= high)).mean()),
            )
        )
    return figures
