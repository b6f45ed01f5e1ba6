"""Test that an exported model predicts the same as the model."""

import dataclasses
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from starlette.testclient import TestClient

from ordinal import Predictor, load
from ordinal.common.choices import LossName
from ordinal.common.errors import UserError
from ordinal.common.files import write_json
from ordinal.common.types import Padded, Probabilities
from ordinal.distributions.calibration import Calibration, apply_temperature, calibrate
from ordinal.distributions.conformal import IntervalRule
from ordinal.distributions.decoding import decode
from ordinal.model import device as devices
from ordinal.model.architecture import output_layer
from ordinal.model.classifier import (
    load_classifier,
    new_classifier,
    save_classifier,
    torch_network,
)
from ordinal.model.inference import Network, predict_probabilities
from ordinal.prediction.bf16 import export_bf16
from ordinal.prediction.deferral import calibrate_deferral, fingerprint
from ordinal.prediction.forms import Form, compare_forms
from ordinal.prediction.onnx import EXPORTED, export_onnx, quantize_onnx
from ordinal.prediction.server import create_app
from ordinal.tokenization.tokenizer import save_tokenizer
from ordinal.tokenization.tokens import Tokens
from tests.families import FAMILIES, save_family
from tests.published import FORMS
from tests.tiny import scores_of

LABELS = ["awful", "poor", "plain", "good", "superb"]
TEXTS = ["the room was good", "awful", "staff " * 100, "bed 1 2 3 was superb room", "poor bed"]
CALIBRATION = Calibration(1.3, scores_of([0.1, 0.3, 0.5, 0.7, 0.9] * 4, 5))


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


def save_model(encoder: Path, length: int, folder: Path) -> Path:
    """A model of an encoder, whose predictions differ between texts although it is untrained."""
    save_tokenizer(encoder, length, encoder.parent)
    model = new_classifier(encoder, LABELS, "emd")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(std=1.5 / weight.shape[-1] ** 0.5)
    save_classifier(model, CALIBRATION, encoder.parent, "card", folder)
    return folder


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in FORMS])
def test_a_family_that_is_not_in_the_test_of_encoders_is_exported(
    family: str, tmp_path: Path
) -> None:
    (tmp_path / "encoder").mkdir()
    folder = save_model(save_family(family, tmp_path / "encoder"), 20, tmp_path / "model")
    export_onnx(folder, folder / "model.onnx")
    texts = [*TEXTS, "they wrote </s> on the <pad> wall </s>", "<mask>"]
    expected = probabilities(load(folder), texts)
    assert np.ptp(expected, axis=0).max() > 0.05
    np.testing.assert_allclose(
        probabilities(load(folder / "model.onnx"), texts), expected, atol=1e-5
    )


def test_every_exported_family_is_tested() -> None:
    tested = {family.kind.model_type for family in FAMILIES.values()}
    assert {name.lower().replace("gpt-2", "gpt2") for name in EXPORTED} == tested


def test_a_short_model_is_exported(tiny_encoder: Path, tmp_path: Path) -> None:
    encoder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    folder = save_model(encoder, 4, tmp_path / "model")
    export_onnx(folder, folder / "model.onnx")
    expected = probabilities(load(folder), TEXTS)
    np.testing.assert_allclose(
        probabilities(load(folder / "model.onnx"), TEXTS), expected, atol=1e-5
    )


def test_an_architecture_that_torch_can_not_export_is_named(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    folder = save_model(encoder, 20, tmp_path / "model")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to decompose the FX graph")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(UserError, match=r"^torch can't export a bert model to ONNX\. It exports A"):
        export_onnx(folder, tmp_path / "out" / "model.onnx")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]])
def test_an_exported_model_predicts_what_its_folder_does(exported: Path, texts: list[str]) -> None:
    folder, file = load(exported), load(exported / "model.onnx")
    expected = probabilities(folder, texts)
    assert np.ptp(expected) > 0.1  # far from uniform
    np.testing.assert_allclose(probabilities(file, texts), expected, atol=1e-5)
    for one, other in zip(folder.predict(texts), file.predict(texts), strict=True):
        assert dataclasses.replace(other, probabilities=one.probabilities) == one


def validation_rows(rows: int = 200) -> Tokens:
    """Rows with random tokens and labels: a model that is sure of any has to become less sure."""
    rng = np.random.default_rng(0)
    ids = [[2, *rng.integers(5, 20, rng.integers(1, 20)), 3] for _ in range(rows)]
    return dataclasses.replace(Tokens.of(ids), labels=rng.integers(len(LABELS), size=rows))


def test_probabilities_in_eight_bits_differ_a_little(exported: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    validation = validation_rows()
    calibrated = load(exported / "model.onnx").probabilities(validation)
    labels = np.array([np.random.default_rng(i).choice(5, p=p) for i, p in enumerate(calibrated)])
    quantize_onnx(exported / "model.onnx", small, dataclasses.replace(validation, labels=labels))
    whole = probabilities(load(exported / "model.onnx"), TEXTS)
    assert 0 < np.abs(probabilities(load(small), TEXTS) - whole).max() < 0.1
    weights = onnx.load(small).graph.initializer
    assert onnx.TensorProto.INT8 in {weight.data_type for weight in weights}


def test_a_file_in_eight_bits_is_calibrated_again(exported: Path, tmp_path: Path) -> None:
    """Its calibration is that of its own network, and predictions and the server use it."""
    validation, small, plain = validation_rows(), tmp_path / "small.onnx", tmp_path / "plain.onnx"
    quantize_onnx(exported / "model.onnx", small, validation)
    content = onnx.load(small)
    [temperature] = [one for one in content.graph.initializer if one.name == "temperature"]
    fitted = float(onnx.numpy_helper.to_array(temperature))
    temperature.CopyFrom(onnx.numpy_helper.from_array(np.array(1, np.float32), "temperature"))
    onnx.save(content, plain)
    session = onnxruntime.InferenceSession(plain)

    def distributions(ids: Padded, mask: Padded) -> Probabilities:
        inputs = {"input_ids": ids, "attention_mask": mask}
        return np.asarray(session.run(["probabilities"], inputs)[0])

    raw = predict_probabilities(Network(5, 0, distributions), validation)
    expected = calibrate(validation.labels, raw)
    assert expected.temperature > 1.5 * CALIBRATION.temperature
    assert fitted == pytest.approx(expected.temperature)
    predictor = load(small)
    assert predictor.calibration.scores == expected.scores
    assert expected.rows == 200
    np.testing.assert_allclose(
        predictor.probabilities(validation),
        apply_temperature(raw, expected.temperature),
        atol=1e-6,
    )
    predictions = predictor.predict(TEXTS)
    rows = np.array([[*one.probabilities.values()] for one in predictions])
    low, high = IntervalRule().intervals(rows, expected.scores)
    assert [(one.low, one.high) for one in predictions] == [
        (LABELS[lowest], LABELS[highest]) for lowest, highest in zip(low, high, strict=True)
    ]
    with TestClient(create_app(predictor), "http://127.0.0.1:8000") as client:
        answer = client.post("/predict", json={"texts": TEXTS}).json()
    assert answer["predictions"] == [dataclasses.asdict(one) for one in predictions]


def test_a_fast_form_with_its_precise_form_has_the_labels_of_the_precise_one(
    exported: Path, tmp_path: Path
) -> None:
    """On the validation rows, all of them; the precise form is the folder or its ONNX file."""
    validation, whole = validation_rows(), exported / "model.onnx"
    quantize_onnx(whole, tmp_path / "int8.onnx", validation)
    export_bf16(exported, tmp_path / "bf16", validation)
    labels = decode(load(whole).probabilities(validation))
    for fast, precise in itertools.product(
        (tmp_path / "int8.onnx", tmp_path / "bf16"), (exported, whole)
    ):
        alone, both = load(fast), load(fast, precise=precise)
        assert (decode(both.probabilities(validation)) == labels).all()
        deferral = calibrate_deferral(
            validation.labels,
            alone.probabilities(validation),
            load(precise).probabilities(validation),
            "median",
            fingerprint(load(precise).calibration),
        )
        assert both.deferral.model == deferral.model
        assert both.deferral.threshold == pytest.approx(deferral.threshold, abs=1e-3)
        for method, of_labels in deferral.scores.items():
            for found, expected in zip(both.deferral.scores[method], of_labels, strict=True):
                assert found == pytest.approx(expected, abs=1e-4)


def test_a_folder_in_bf16_is_computed_in_bf16_where_that_is_fast(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = validation_rows()
    export_bf16(exported, tmp_path / "bf16", rows)
    files = [folder / "model.safetensors" for folder in (exported, tmp_path / "bf16")]
    whole, half = (file.stat().st_size for file in files)
    assert half < 0.6 * whole
    found = {}
    for fast in (True, False):
        monkeypatch.setattr(devices, "has_bf16", lambda _, fast=fast: fast)
        found[fast] = probabilities(load(tmp_path / "bf16"), TEXTS)
    assert 0 < np.abs(found[False] - found[True]).max() < 0.1
    # The file has the weights that the network of the whole model in bf16 computes with.
    uncalibrated = [
        predict_probabilities(torch_network(load_classifier(folder), "cpu", "bf16-mixed"), rows)
        for folder in (exported, tmp_path / "bf16")
    ]
    np.testing.assert_array_equal(*uncalibrated)


def test_a_model_that_is_not_the_precise_form_is_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.onnx has no precise form: name a file of"):
        load(exported / "model.onnx", precise=exported)
    quantize_onnx(exported / "model.onnx", tmp_path / "int8.onnx", validation_rows())
    other = Path(shutil.copytree(exported, tmp_path / "other"))
    write_json(other / "calibration.json", {"temperature": 1.3, "scores": scores_of([0.2] * 20, 5)})
    with pytest.raises(
        UserError, match=r"int8\.onnx was not exported from .*other: export it again"
    ):
        load(tmp_path / "int8.onnx", precise=other)


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


def test_forms_are_compared_by_their_own_intervals(exported: Path, tmp_path: Path) -> None:
    validation, small = validation_rows(), tmp_path / "small.onnx"
    quantize_onnx(exported / "model.onnx", small, validation)
    whole = exported / "model.onnx"
    forms = {"whole": Form(whole), "small": Form(small), "both": Form(small, whole)}
    expected = load(whole).probabilities(validation)
    for form in compare_forms(forms, validation):
        predictor = load(forms[form.name].path, precise=forms[form.name].precise)
        rows = predictor.probabilities(validation)
        low, high = predictor.intervals(rows)
        truth = zip(low, validation.labels, high, strict=True)
        assert form.coverage == np.mean([one <= label <= other for one, label, other in truth])
        assert form.agreement == np.mean(decode(rows) == decode(expected))
        files = {"whole": [whole], "small": [small], "both": [small, whole]}[form.name]
        assert form.size == sum(file.stat().st_size for file in files)
