"""Ordinal regression with fine-tuned transformers.

`load` reads a trained model for prediction.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ordinal.prediction.load import load
    from ordinal.prediction.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor", "load"]


def __getattr__(name: str) -> object:
    # Imported on first use, because every stage imports this package.
    if name in __all__:
        module = "load" if name == "load" else "predictor"
        return getattr(importlib.import_module(f"ordinal.prediction.{module}"), name)
    raise AttributeError(f"module 'ordinal' has no attribute '{name}'")
