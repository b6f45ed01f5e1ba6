"""Test that an exported model predicts the same as the model."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from ordinal import Predictor, load
from ordinal.common.errors import UserError
from ordinal.common.types import LossName
from ordinal.distributions.calibration import Calibration
from ordinal.model.architecture import output_layer
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.prediction.onnx import export_onnx, quantize_onnx
from ordinal.tokenization.tokenizer import save_tokenizer

LABELS = ["awful", "poor", "plain", "good", "superb"]
TEXTS = ["the room was good", "awful", "staff " * 100, "bed 1 2 3 was superb room", "poor bed"]
CALIBRATION = Calibration(1.3, [0.1, 0.3, 0.5, 0.7, 0.9] * 4)


@pytest.fixture(scope="module", params=["corn", "coral", "cross_entropy"])
def exported(
    request: pytest.FixtureRequest, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a model, with its model.onnx in it."""
    loss: LossName = request.param
    folder = tmp_path_factory.mktemp("model")
    tokenizer = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(tiny_encoder, 24, tokenizer)
    model = new_classifier(tiny_encoder, LABELS, loss)
    with torch.no_grad():  # an untrained network predicts nearly the same for every text
        output_layer(model).weight.mul_(100)
    save_classifier(model, CALIBRATION, tokenizer, "card", folder)
    export_onnx(folder, folder / "model.onnx")
    return folder


def probabilities(predictor: Predictor, texts: list[str]) -> npt.NDArray[np.float64]:
    return np.array([[*shown.probabilities.values()] for shown in predictor.predict(texts)])


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]])
def test_an_exported_model_predicts_what_its_folder_does(exported: Path, texts: list[str]) -> None:
    folder, file = load(exported), load(exported / "model.onnx")
    expected = probabilities(folder, texts)
    assert np.ptp(expected) > 0.1  # far from uniform
    np.testing.assert_allclose(probabilities(file, texts), expected, atol=1e-5)
    for one, other in zip(folder.predict(texts), file.predict(texts), strict=True):
        assert dataclasses.replace(other, probabilities=one.probabilities) == one


def test_probabilities_in_eight_bits_differ_a_little(exported: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    quantize_onnx(exported / "model.onnx", small)
    whole = probabilities(load(exported / "model.onnx"), TEXTS)
    assert 0 < np.abs(probabilities(load(small), TEXTS) - whole).max() < 0.1
    weights = onnx.load(small).graph.initializer
    assert onnx.TensorProto.INT8 in {weight.data_type for weight in weights}


def test_an_exported_model_needs_no_torch(exported: Path) -> None:
    script = (
        "import sys; from ordinal import load; load(sys.argv[1]).predict(['good room']); "
        "print(sorted({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, str(exported / "model.onnx")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_a_file_that_was_not_exported_by_this_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.onnx is missing"):
        load(tmp_path / "gone.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(UserError, match=r"text\.onnx is not an ONNX file"):
        load(tmp_path / "text.onnx")
