"""A tiny trained model, and tables to predict with it."""

from pathlib import Path

import pytest
import torch

from ordinal.distributions.calibration import Calibration
from ordinal.model.architecture import output_layer
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.tokenization.tokenizer import save_tokenizer
from tests.conftest import WORDS


@pytest.fixture(scope="session")
def tiny_model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose predictions differ between texts, although it is untrained."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tokenizer = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(tiny_encoder, 24, tokenizer)
    model = new_classifier(tiny_encoder, WORDS, "corn")
    with torch.no_grad():
        output_layer(model).weight.mul_(100)
    save_classifier(model, Calibration(1.3, [0.1, 0.3, 0.5, 0.7, 0.9] * 4), tokenizer, "c", folder)
    return folder
