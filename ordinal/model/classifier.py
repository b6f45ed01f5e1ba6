"""The model: a Hugging Face sequence classifier whose config says how its logits are to be read."""

import copy
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.common.params import Train
from ordinal.common.types import Accelerator, Padded, Precision, Probabilities
from ordinal.distributions.calibration import Calibration
from ordinal.model.device import batch_tokens, choose_device, choose_precision, pad_multiple
from ordinal.model.inference import Network
from ordinal.model.losses import LOSSES
from ordinal.tokenization.tokenizer import TOKENIZER_FILES

CALIBRATION_FILE = "calibration.json"
# What the configs of encoders call it.
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop")


def new_classifier(encoder: Path, labels: Sequence[str], recipe: Train) -> PreTrainedModel:
    """A pretrained encoder with a new head, seeded, in float32 and in training mode.

    The config gains `ordinal`: the K label names (lowest first), the loss and the decoding.

    Raises:
        UserError: the encoder can't be loaded, or has no dropout of attention to set.
    """
    outputs = LOSSES[recipe.loss].outputs(len(labels))
    names = list(labels) if outputs == len(labels) else [f"above {name}" for name in labels[:-1]]
    with _loading(encoder):
        config = AutoConfig.from_pretrained(encoder, local_files_only=True, trust_remote_code=False)
    if config.pad_token_id is None:
        raise UserError(
            f"{encoder}/config.json has no pad_token_id: add the id that texts of "
            "unequal length are filled up with"
        )
    # Set here: as arguments, from_pretrained drops what the encoder's config does not know.
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    config.ordinal = {"labels": list(labels), "loss": recipe.loss, "decode": recipe.decode}
    if recipe.attention_dropout is not None:
        _set_attention_dropout(config, recipe.attention_dropout)
    torch.manual_seed(recipe.seed)
    model = _from_pretrained(encoder, config=config)
    # from_pretrained returns evaluation mode, and Lightning leaves the mode as it is.
    model.train()
    return model


def _set_attention_dropout(config: PreTrainedConfig, share: float) -> None:
    names = [name for name in ATTENTION_DROPOUT if hasattr(config, name)]
    if not names:
        raise UserError(
            f"train.attention_dropout is {share:g}, but the config of this encoder "
            f"({config.model_type}) has none of {', '.join(ATTENTION_DROPOUT)}: set it to null"
        )
    for name in names:
        setattr(config, name, share)


def load_classifier(folder: Path) -> PreTrainedModel:
    """A trained classifier of ours, in evaluation mode.

    Raises:
        UserError: the folder holds none, or a damaged one.
    """
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is not a model folder: it has no config.json")
    with _loading(folder):
        ours = "ordinal" in read_json(folder / "config.json")
    if not ours:
        raise UserError(f"{folder} was not trained by this project: its config has no 'ordinal'")
    model = _from_pretrained(folder)
    model.eval()
    return model


def load_calibration(folder: Path) -> Calibration:
    """What was calibrated beside the weights of a classifier of ours.

    Raises:
        UserError: it is missing or damaged.
    """
    with _loading(folder):
        return Calibration(**read_json(folder / CALIBRATION_FILE))


def torch_network(
    model: PreTrainedModel, accelerator: Accelerator = "auto", precision: Precision = "auto"
) -> Network:
    """A classifier of ours on the device, and in the precision, that it shall be computed in.

    In `bf16-mixed` it is a copy with all weights in bf16: only training has to keep more of them.

    Raises:
        UserError: a GPU is asked for and there is none.
    """
    device = choose_device(accelerator)
    if choose_precision(precision, device) == "bf16-mixed":
        model = copy.deepcopy(model)
        for weight in model.parameters():  # not the buffers, which may tell positions
            weight.data = weight.data.bfloat16()
    head = LOSSES[model.config.ordinal["loss"]]
    model.to(device)  # type: ignore[arg-type]

    @torch.inference_mode()
    def distributions(ids: Padded, mask: Padded) -> Probabilities:
        inputs = {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(mask).to(device),
        }
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


def save_classifier(
    model: PreTrainedModel, calibration: Calibration, tokenizer: Path, readme: str, folder: Path
) -> None:
    """Write a folder that transformers loads as it stands: config, safetensors, tokenizer, README.

    The calibration is one more file in it. `tokenizer` is the folder that has the tokenizer's.
    """
    model.save_pretrained(folder)
    write_json(folder / CALIBRATION_FILE, asdict(calibration))
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, folder / name)
    (folder / "README.md").write_text(readme, encoding="utf-8")


def _from_pretrained(folder: Path, **options: object) -> PreTrainedModel:
    # A bar over the loading of a few weights tells nobody anything; the list of new weights stays.
    logging.disable_progress_bar()
    with _loading(folder):
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            **options,
        )
    return model


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each architecture fails in ways of its own
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"{folder} can't be loaded as a model: {reason}") from error
