"""What rows held out of training teach about a model's probabilities: how far to trust them."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from ordinal.common.types import Labels, Probabilities
from ordinal.distributions.conformal import calibration_scores

HOTTEST = 5.0  # what asks for more has too few rows to be asked
SMALLEST = float(np.finfo(np.float32).eps)  # a network in float32 can't tell less from nothing


@dataclass(frozen=True)
class Calibration:
    """Stands beside a model's weights, and is applied wherever its probabilities are shown."""

    temperature: float
    """What to `apply_temperature` the network's distributions with."""
    scores: list[float]
    """Of the tempered distributions: what `conformal.conformal_threshold` asks for."""


def calibrate(labels: Labels, probabilities: Probabilities) -> Calibration:
    """From the labels and the network's distributions of rows held out of training."""
    temperature = fit_temperature(labels, probabilities)
    scores = calibration_scores(labels, apply_temperature(probabilities, temperature))
    return Calibration(temperature, scores.tolist())


def apply_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Distributions p_k^(1/T), normalised, shape (rows, K): flatter for T > 1, sharper for T < 1.

    Of a softmax it is the softmax of logits / T (Guo et al. 2017, eq. 9); stated of probabilities
    it serves every loss alike.
    """
    powers = np.maximum(probabilities, SMALLEST).astype(np.float64) ** (1 / temperature)
    tempered: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return tempered.astype(probabilities.dtype)


def fit_temperature(labels: Labels, probabilities: Probabilities) -> float:
    """The temperature of least log loss, between 1 / `HOTTEST` and `HOTTEST`.

    The log loss is convex in 1 / T, so that the one minimum found is the only one.
    """
    rows = np.arange(len(labels))
    given = probabilities.astype(np.float64)  # in float32 the search would see steps and zeros
    found = minimize_scalar(
        lambda log: -np.log(apply_temperature(given, np.exp(log))[rows, labels]).mean(),
        bounds=(-np.log(HOTTEST), np.log(HOTTEST)),
        method="bounded",
    )
    return float(np.exp(found.x))
