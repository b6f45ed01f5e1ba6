"""Export a trained model as one ONNX file, and load it without torch."""

import importlib.util
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from ordinal.common.errors import UserError
from ordinal.common.files import atomic_file, read_json
from ordinal.common.types import Padded, Probabilities
from ordinal.distributions.calibration import (
    MIN_PROBABILITY,
    Calibration,
    apply_temperature,
    calibrate,
)
from ordinal.distributions.conformal import IntervalRule
from ordinal.model.inference import Network, predict_probabilities
from ordinal.prediction.deferral import Deferral, calibrate_deferral, fingerprint
from ordinal.prediction.predictor import Predictor
from ordinal.tokenization.tokenizer import load_truncation, read_literally
from ordinal.tokenization.tokens import Tokens

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn
    from transformers import PreTrainedModel


FACTS = "ordinal"  # key in the file's metadata of labels, decoding, calibration and tokenizer
TEMPERATURE = "temperature"  # name of the tensor in the graph
# Arguments of quantize_dynamic: a scale and a zero point per output of a layer.
# benchmarks/int8.py compares others.
INT8 = {"per_channel": True, "extra_options": {"WeightSymmetric": False}}
INPUTS = ("input_ids", "attention_mask")
# The architectures whose export the tests compare with torch.
EXPORTED = (
    *("ALBERT", "BART", "BERT", "DeBERTa-v2", "DistilBERT", "ELECTRA", "GPT-2", "ModernBERT"),
    *("MPNet", "RoBERTa", "T5", "XLM-RoBERTa"),
)


def export_onnx(folder: Path, path: Path) -> None:
    """Export the model in `folder` to the file `path`.

    The inputs are `input_ids` and `attention_mask`, int64, shape (rows, length), with any number of
    rows and any length up to the model's maximum. The output is `probabilities`, float32, shape
    (rows, K): the calibrated distributions.

    The file contains the tokenizer, which `load_onnx` uses. A copy, tokenizer.json, is written next
    to it for other programs.

    Raises:
        UserError: `folder` is not a model of the train stage, its architecture can't be exported,
            or a library for the export is missing.
    """
    _need("onnx", "onnxscript")
    import onnx

    from ordinal.model.classifier import load_calibration, load_classifier
    from ordinal.model.first_token import drop_unused_tokens

    model, calibration = load_classifier(folder), load_calibration(folder)
    drop_unused_tokens(model)
    longest = read_json(folder / "tokenizer_config.json")["model_max_length"]
    with tempfile.TemporaryDirectory() as draft:
        file = Path(draft) / path.name
        _export(model, longest, file)
        exported = onnx.load(file)
    _set_temperature(exported, calibration.temperature)
    facts = model.config.ordinal | {
        "pad_id": model.config.pad_token_id,
        "scores": calibration.scores,
        "truncation": load_truncation(folder),
        "tokenizer": (folder / "tokenizer.json").read_text(encoding="utf-8"),
    }
    onnx.helper.set_model_props(exported, {FACTS: json.dumps(facts)})
    with atomic_file(path) as file:
        onnx.save(exported, file)
    with atomic_file(path.with_name("tokenizer.json")) as file:
        shutil.copyfile(folder / "tokenizer.json", file)


def _export(model: "PreTrainedModel", longest: int, file: Path) -> None:
    """Write the network of `export_onnx`, with attention computed as `model` does, or plainly."""
    import torch

    ids = torch.ones(3, min(8, longest), dtype=torch.int64)
    rows, length = torch.export.Dim("rows"), torch.export.Dim("length", max=longest)
    for attention in (None, "eager"):  # torch can't export T5's default
        if attention:
            model.set_attn_implementation(attention)
        try:
            with _quiet():
                torch.onnx.export(
                    _calibrated(model),
                    (ids, torch.ones_like(ids)),
                    file,
                    dynamo=True,
                    external_data=False,
                    dynamic_shapes={name: {0: rows, 1: length} for name in INPUTS},
                    input_names=INPUTS,
                    output_names=["probabilities"],
                    verbose=False,
                )
        except OSError:
            raise
        except Exception as failure:  # noqa: BLE001, each step of the exporter raises its own
            error = failure
        else:
            return
    raise UserError(
        f"torch can't export a {model.config.model_type} model to ONNX. It exports "
        f"{', '.join(EXPORTED)}. `ordinal predict` and `ordinal serve` need no export"
    ) from error


def quantize_onnx(
    source: Path, path: Path, validation: Tokens, arguments: Mapping[str, Any] = INT8
) -> None:
    """Write a copy of `source`, a file of `export_onnx`, that multiplies matrices in 8 bits.

    The weights are stored in 8 bits; activations are quantized when the model runs. This changes
    the probabilities, so the copy gets a temperature and conformal scores of its own, and the
    calibration of a cascade with `source`.

    Args:
        source: file to copy.
        path: file to write.
        validation: rows to calibrate on, held out of training.
        arguments: arguments of onnxruntime's `quantize_dynamic`.

    Raises:
        UserError: a library for the quantization is missing.
    """
    _need("onnx", "onnxruntime")
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        with _quiet():
            quantize_dynamic(source, draft, **arguments)
        quantized = onnx.load(draft)
        _set_temperature(quantized, 1.0)
        onnx.save(quantized, draft)
        distributions = predict_probabilities(load_onnx(draft).network, validation)
    calibration = calibrate(validation.labels, distributions)
    _set_temperature(quantized, calibration.temperature)
    precise = load_onnx(source)
    deferral = calibrate_deferral(
        validation.labels,
        apply_temperature(distributions, calibration.temperature),
        precise.probabilities(validation),
        precise.rule,
        fingerprint(precise.calibration),
        precise.costs,
    )
    [stored] = [entry for entry in quantized.metadata_props if entry.key == FACTS]
    facts = {"scores": calibration.scores, "deferral": asdict(deferral)}
    stored.value = json.dumps(json.loads(stored.value) | facts)
    with atomic_file(path) as file:
        onnx.save(quantized, file)


def _set_temperature(model: "ModelProto", temperature: float) -> None:
    """Change the temperature that the graph of `_calibrated` applies."""
    from onnx import numpy_helper

    [tensor] = [tensor for tensor in model.graph.initializer if tensor.name == TEMPERATURE]
    tensor.CopyFrom(numpy_helper.from_array(np.array(temperature, np.float32), TEMPERATURE))


def load_onnx(path: Path, rule: IntervalRule | None = None) -> Predictor:
    """Load a file of `export_onnx`, to be computed on the CPU.

    Raises:
        UserError: the file is missing, was not written by `export_onnx`, or onnxruntime is missing.
    """
    _need("onnxruntime")
    import onnxruntime

    if not path.is_file():
        raise UserError(f"{path} is missing: `ordinal export onnx` writes it")
    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")  # which torch obeys, too
    options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0  # 0: all cores
    try:
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 (onnxruntime's errors have no common base class)
        raise UserError(f"{path} is not an ONNX file, or is damaged: export it again") from None
    stored = session.get_modelmeta().custom_metadata_map.get(FACTS)
    if stored is None:
        raise UserError(
            f"{path} was not written by `ordinal export onnx`: its metadata has no '{FACTS}'"
        )
    facts = json.loads(stored)

    def distributions(ids: Padded, mask: Padded) -> Probabilities:
        inputs = dict(zip(INPUTS, (ids, mask), strict=True))
        return np.asarray(session.run(["probabilities"], inputs)[0])

    tokenizer = Tokenizer.from_str(facts["tokenizer"])
    read_literally(tokenizer)
    try:
        calibration = Calibration(1.0, facts["scores"])  # the graph applies the temperature
        deferral = Deferral(**facts["deferral"]) if "deferral" in facts else None
    except ValueError as error:
        raise UserError(f"{path} can't be loaded: {error}") from None
    return Predictor(
        Network(len(facts["labels"]), facts["pad_id"], distributions),
        tokenizer,
        facts["labels"],
        facts["decode"],
        calibration,
        rule or IntervalRule(),
        columns=facts.get("text", ()),
        costs=facts.get("costs"),
        truncation=facts.get("truncation", "head"),  # missing in files of earlier versions
        deferral=deferral,
    )


def _calibrated(model: "PreTrainedModel") -> "nn.Module":
    """Return the network with `apply_temperature` as its last step, as one module.

    `_set_temperature` sets the temperature in the exported graph.
    """
    import torch
    from torch import nn

    from ordinal.model.losses import LOSSES

    head = LOSSES[model.config.ordinal["loss"]]

    class Calibrated(nn.Module):
        temperature: "Tensor"

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            # Until it is set. The exporter drops a division by 1, and merges equal tensors.
            self.register_buffer(TEMPERATURE, torch.tensor(1.2345678))

        def forward(self, input_ids: "Tensor", attention_mask: "Tensor") -> "Tensor":
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
            probabilities = head.probabilities(logits).clamp(min=MIN_PROBABILITY)
            return (probabilities.log() / self.temperature).softmax(dim=-1)

    return Calibrated().eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the notes of the exporter and the quantizer, which are for authors of models."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _need(*libraries: str) -> None:
    """Raise a `UserError` if a library is not installed."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            raise UserError(f"{library} is missing: install it with `pip install '.[onnx]'`")
