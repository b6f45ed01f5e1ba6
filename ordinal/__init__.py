"""Ordinal regression with fine-tuned transformers: `load` a trained model, and predict."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ordinal.prediction.load import load
    from ordinal.prediction.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor", "load"]


def __getattr__(name: str) -> object:
    # Only when asked for: the stages import this package too, and pay for what it imports.
    if name in __all__:
        module = "load" if name == "load" else "predictor"
        return getattr(importlib.import_module(f"ordinal.prediction.{module}"), name)
    raise AttributeError(f"module 'ordinal' has no attribute '{name}'")
