"""The model: a Hugging Face sequence classifier whose config contains the labels and the loss."""

import copy
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from ordinal.common.choices import Accelerator, Decoding, LossName, Precision
from ordinal.common.costs import Costs
from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.common.types import Padded, Probabilities
from ordinal.distributions.calibration import Calibration
from ordinal.model.architecture import head, output_layer
from ordinal.model.attention import use_products
from ordinal.model.device import (
    attention_kernels,
    batch_tokens,
    choose_device,
    choose_precision,
    has_slow_bf16_attention,
    pad_multiple,
)
from ordinal.model.first_token import drop_unused_tokens
from ordinal.model.inference import Network
from ordinal.model.losses import LOSSES
from ordinal.tokenization.tokenizer import TOKENIZER_FILES

CALIBRATION_FILE = "calibration.json"
# The names of the attention dropout in the configs of encoders.
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")


def new_classifier(
    encoder: Path,
    labels: Sequence[str],
    loss: LossName,
    decoding: Decoding = "median",
    seed: int = 1,
    attention_dropout: float | None = None,
    text_columns: Sequence[str] = (),
    costs: Costs | None = None,
) -> PreTrainedModel:
    """A pretrained encoder with a new head, in float32 and in training mode.

    The config gains `ordinal`: the K label names (lowest first), the loss, the decoding, the text
    columns if there are several, and the costs of errors if there are any. If the encoder is itself
    a fine-tuned classifier, its head is dropped, and a line on stdout says so.

    Args:
        encoder: folder of the encoder.
        labels: the K label names, lowest first.
        loss: loss to train with, which decides the number of outputs.
        decoding: how a distribution over the classes becomes one label.
        seed: seed of the weights of the head.
        attention_dropout: dropout of the attention weights; None keeps the encoder's own.
        text_columns: the columns whose texts are joined, if there are several.
        costs: the costs of errors, which the decoding `cost` needs.

    Raises:
        UserError: the encoder can't be loaded, has no attention dropout to set, or its head does
            not suit the loss.
    """
    config = _new_config(encoder, labels, loss)
    config.ordinal = {"labels": list(labels), "loss": loss, "decode": decoding}
    extras = {"text": list(text_columns), "costs": costs}
    config.ordinal |= {name: value for name, value in extras.items() if value}
    if attention_dropout is not None:
        _set_attention_dropout(config, attention_dropout)
    torch.manual_seed(seed)
    model, missing = _from_pretrained(encoder, config)
    if _name(model, output_layer(model).weight) not in missing:
        print(f"train: {encoder} is a fine-tuned classifier: its head is replaced")
        _replace_head(model, seed)
    if LOSSES[loss].shared_weight and output_layer(model).bias is None:
        raise UserError(
            f"train.loss is {loss}, but the head of this encoder ({config.model_type}) has no "
            "biases: choose another loss"
        )
    # from_pretrained returns evaluation mode, and Lightning does not change it.
    model.train()
    return model


def _new_config(encoder: Path, labels: Sequence[str], loss: LossName) -> PreTrainedConfig:
    """The config of an encoder, with the outputs that a loss needs."""
    with _loading(encoder):
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            encoder, local_files_only=True, trust_remote_code=False
        )
    if getattr(config, "pad_token_id", None) is None:
        raise UserError(
            f"{encoder}/config.json has no pad_token_id: add the token id that pads short texts"
        )
    outputs = LOSSES[loss].outputs(len(labels))
    names = list(labels) if outputs == len(labels) else [f"above {name}" for name in labels[:-1]]
    # Set on the config because from_pretrained drops arguments that an encoder's config lacks.
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    if config.problem_type is not None:  # the encoder is a classifier for another problem
        config.problem_type = None
    return config


def _set_attention_dropout(config: PreTrainedConfig, share: float) -> None:
    names = [name for name in ATTENTION_DROPOUT if hasattr(config, name)]
    if not names:
        raise UserError(
            f"train.attention_dropout is {share:g}, but the config of this encoder "
            f"({config.model_type}) has none of {', '.join(ATTENTION_DROPOUT)}: set it to null"
        )
    for name in names:
        setattr(config, name, share)


def _name(model: PreTrainedModel, weight: Tensor) -> str:
    return next(name for name, other in model.named_parameters() if other is weight)


def _replace_head(model: PreTrainedModel, seed: int) -> None:
    """Replace all modules on top of the encoder by newly initialised ones."""
    torch.manual_seed(seed)
    new = AutoModelForSequenceClassification.from_config(model.config, dtype=torch.float32)
    for name, module in new.named_children():
        if module in head(new):
            setattr(model, name, module)


def load_classifier(folder: Path) -> PreTrainedModel:
    """Load a classifier that this project trained, in evaluation mode.

    Raises:
        UserError: the folder contains no such classifier, or a damaged one.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not a model folder: it has no config.json")
    with _loading(folder):
        ours = "ordinal" in read_json(folder / "config.json")
    if not ours:
        raise UserError(f"{folder} was not trained by this project: its config has no 'ordinal'")
    model, missing = _from_pretrained(folder)
    if missing:
        raise UserError(f"{folder} is damaged: its weights lack {min(missing)}")
    model.eval()
    return model


def load_calibration(folder: Path) -> Calibration:
    """Load the calibration of a trained classifier.

    Raises:
        UserError: it is missing or damaged.
    """
    with _loading(folder):
        return Calibration(**read_json(folder / CALIBRATION_FILE))


def torch_network(
    model: PreTrainedModel, accelerator: Accelerator = "auto", precision: Precision = "auto"
) -> Network:
    """Move a trained classifier to a device and wrap it as a `Network`.

    With `bf16-mixed`, the network is a `bf16_copy` of the classifier. Otherwise it is the
    classifier itself, which is for predictions only from then on (`drop_unused_tokens`).

    Raises:
        UserError: `accelerator` is gpu, and torch finds none.
    """
    device = choose_device(accelerator)
    if choose_precision(precision, device) == "bf16-mixed":
        model = bf16_copy(model, keep_norms=device.type == "cpu")
        if has_slow_bf16_attention(device):
            use_products(model)
    drop_unused_tokens(model)
    head = LOSSES[model.config.ordinal["loss"]]
    model.to(device)  # type: ignore[arg-type]

    @torch.inference_mode()
    def distributions(ids: Padded, mask: Padded) -> Probabilities:
        inputs = {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(mask).to(device),
        }
        with attention_kernels():
            logits = model(**inputs).logits
        probabilities: Probabilities = head.probabilities(logits).cpu().numpy()
        return probabilities

    return Network(
        len(model.config.ordinal["labels"]),
        model.config.pad_token_id,
        distributions,
        batch_tokens(device),
        pad_multiple(device),
    )


def bf16_copy(model: PreTrainedModel, keep_norms: bool = True) -> PreTrainedModel:
    """A copy of a classifier with its weights in bf16.

    With `keep_norms`, the few weights of layer normalization stay in float32. On real reviews,
    rounding them too changed the probabilities 1.6 times as much, and was no faster on a CPU.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        if not (keep_norms and isinstance(module, nn.LayerNorm)):
            # Not the buffers, which may contain positions.
            for weight in module.parameters(recurse=False):
                weight.data = weight.data.bfloat16()
    return model


def save_classifier(
    model: PreTrainedModel, calibration: Calibration, tokenizer: Path, readme: str, folder: Path
) -> None:
    """Write a model folder that transformers can load without this project.

    It contains the config, the weights (safetensors), the tokenizer, the README and the
    calibration. `tokenizer` is the folder to copy the tokenizer's files from.
    """
    model.save_pretrained(folder)
    write_json(folder / CALIBRATION_FILE, asdict(calibration))
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, folder / name)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def _from_pretrained(
    folder: Path, config: PreTrainedConfig | None = None
) -> tuple[PreTrainedModel, set[str]]:
    """Load a classifier; also return the names of the weights that its file lacks.

    Raises:
        UserError: it can't be loaded, or a weight of the encoder does not have the config's shape.
    """
    # The progress bar is useless for so few weights. The list of new weights is still printed.
    logging.disable_progress_bar()
    with _loading(folder):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # heads are replaced; other weights are checked here
            output_loading_info=True,
        )
    of_encoder = dict(model.base_model.named_parameters(model.base_model_prefix))
    for name, found, expected in sorted(report["mismatched_keys"]):
        if config is None or name in of_encoder:
            raise UserError(
                f"{folder}: {name} in model.safetensors has the shape {tuple(found)}, but "
                f"config.json asks for {tuple(expected)}: use the two files of one model"
            )
    return model, set(report["missing_keys"])


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each architecture raises its own errors
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{folder} can't be loaded as a model: {reason}") from error
