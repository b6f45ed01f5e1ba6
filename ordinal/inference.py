"""From token ids to distributions over the classes."""

import numpy as np
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from ordinal.batching import Tokens, evaluation_batches
from ordinal.decoding import Probabilities
from ordinal.hardware import choose_device, choose_precision
from ordinal.losses import LOSSES
from ordinal.recipe import Accelerator, Precision

BATCH = 64


@torch.inference_mode()
def predict_probabilities(
    model: PreTrainedModel,
    tokens: Tokens,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
    description: str = "predict",
) -> Probabilities:
    """Distributions over the K classes, shape (rows, K), float32, in row order."""
    device = choose_device(accelerator)
    autocast = choose_precision(precision, device) == "bf16-mixed"
    head = LOSSES[model.config.ordinal["loss"]]
    model.to(device)  # type: ignore[arg-type]
    result = np.empty((len(tokens), len(model.config.ordinal["labels"])), np.float32)
    batches = evaluation_batches(tokens.lengths, BATCH)
    for rows in tqdm(batches, desc=description, unit="batch", disable=None):
        ids, mask = (
            torch.from_numpy(array).to(device)
            for array in tokens.pad(rows, model.config.pad_token_id)
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = model(input_ids=ids, attention_mask=mask).logits
        result[rows] = head.probabilities(logits).cpu().numpy()
    return result
