"""Ordinal regression with fine-tuned transformers: `load` a trained model, and predict."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ordinal.predictor import Prediction, Predictor, load

__all__ = ["Prediction", "Predictor", "load"]


def __getattr__(name: str) -> object:
    # Only when asked for: the stages import this package too, and pay for what it imports.
    if name in __all__:
        return getattr(importlib.import_module("ordinal.predictor"), name)
    raise AttributeError(f"module 'ordinal' has no attribute '{name}'")
