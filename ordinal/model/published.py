"""Load an encoder in the form in which it was published, without running any code of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging


def load_config(folder: Path) -> PreTrainedConfig:
    """Load the config of an encoder.

    Raises:
        ValueError: it is damaged, or transformers has no such architecture or no classifier of it.
    """
    with loading("its config.json"):
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        kind = config.model_type or "unknown"
        raise ValueError(f"transformers has no classifier of its architecture ({kind})")
    return config


def load_encoder(folder: Path) -> PreTrainedModel:
    """Load an encoder in evaluation mode and float32, from safetensors or else from pickles.

    Raises:
        ValueError: it can't be loaded, or lacks weights.
    """
    config = load_config(folder)
    with loading("it"):
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            use_safetensors=any(folder.glob("*.safetensors")),
            output_loading_info=True,
        )
    # The pooler belongs to the head: many encoders are published without one.
    if missing := sorted(name for name in report["missing_keys"] if "pooler" not in name):
        raise ValueError(f"its weights lack {missing[0]}")
    loaded: PreTrainedModel = model.eval()
    return loaded


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Turn an error into a `ValueError` of one line, and suppress what transformers prints."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # each architecture raises its own errors
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{what} can't be loaded: {reason}") from error
    finally:
        logging.set_verbosity(verbosity)
