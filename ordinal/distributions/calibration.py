"""Calibration on held-out rows: a temperature for the probabilities, and conformal scores."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from ordinal.common.types import Labels, Probabilities
from ordinal.distributions.conformal import NONCONFORMITY, Scores, calibration_scores

MAX_TEMPERATURE = 5.0  # a higher one means that there were too few rows to fit it
MIN_PROBABILITY = float(np.finfo(np.float32).eps)  # below this, float32 can't tell p from 0


@dataclass(frozen=True)
class Calibration:
    """The calibration of a model, stored next to its weights and applied to all its predictions."""

    temperature: float
    """Temperature of `apply_temperature`."""
    scores: Scores
    """Scores of the calibrated distributions, for `conformal.IntervalRule`."""

    def __post_init__(self) -> None:
        refuse_other_scores(self.scores)

    @property
    def rows(self) -> int:
        """Number of calibration rows."""
        return sum(map(len, self.scores["adaptive"]))


def refuse_other_scores(scores: object) -> None:
    """Raise a ValueError if scores are not in the form of `calibration_scores`."""
    if not isinstance(scores, dict) or scores.keys() != NONCONFORMITY.keys():
        raise ValueError(
            "its calibration was written by an earlier version of this program: train or export "
            "the model again"
        )


def calibrate(labels: Labels, probabilities: Probabilities) -> Calibration:
    """Calibrate a model on rows held out of training.

    Args:
        labels: true classes, shape (rows,).
        probabilities: the network's own distributions, shape (rows, K).
    """
    temperature = fit_temperature(labels, probabilities)
    scores = calibration_scores(labels, apply_temperature(probabilities, temperature))
    return Calibration(temperature, scores)


def apply_temperature(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the distributions p_k^(1/T) / Σ_j p_j^(1/T), shape (rows, K).

    They are flatter for T > 1 and sharper for T < 1. For a softmax this equals the softmax of
    logits / T (Guo et al. 2017, eq. 9). Written with probabilities, it works for every loss.
    """
    powers = np.maximum(probabilities, MIN_PROBABILITY).astype(np.float64) ** (1 / temperature)
    calibrated: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return calibrated.astype(probabilities.dtype)


def fit_temperature(labels: Labels, probabilities: Probabilities) -> float:
    """Return the temperature with the lowest log loss.

    It is between 1 / `MAX_TEMPERATURE` and `MAX_TEMPERATURE`. The log loss is convex in 1 / T, so
    it has one minimum.
    """
    rows = np.arange(len(labels))
    given = probabilities.astype(np.float64)  # in float32 the search would see steps and zeros
    found = minimize_scalar(
        lambda log: -np.log(apply_temperature(given, np.exp(log))[rows, labels]).mean(),
        bounds=(-np.log(MAX_TEMPERATURE), np.log(MAX_TEMPERATURE)),
        method="bounded",
    )
    return float(np.exp(found.x))
