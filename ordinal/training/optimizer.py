"""The optimiser of a fine-tuning, and the schedule of its learning rates."""

import re
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel, get_scheduler

from ordinal.common.params import Train
from ordinal.model.coral import output_layer
from ordinal.model.losses import LOSSES

BIAS_RATE = 100  # learning rate of CORAL's biases, in those of all else


def new_optimizer(
    model: PreTrainedModel, recipe: Train, steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """AdamW, and its warm-up and decay over so many steps."""
    # Fused: one pass over the weights, where the others make a dozen, which cost a batch of short
    # texts nearly half of its time.
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe), fused=True)
    schedule = get_scheduler(recipe.schedule, optimizer, round(recipe.warmup * steps), steps)
    return optimizer, schedule


def parameter_groups(model: PreTrainedModel, recipe: Train) -> list[dict[str, Any]]:
    """The optimiser's groups: a rate for each depth, and weight decay for matrices alone.

    The rate falls by `layer_decay` from layer to layer downwards (Howard and Ruder 2018, section
    3.2, discriminative fine-tuning): what is near the text was learned from more of it.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    layers = model.config.num_hidden_layers
    output = output_layer(model)
    for name, weight in model.named_parameters():
        rate = recipe.lr * recipe.layer_decay ** depth(name, layers)
        if weight is output.bias and LOSSES[recipe.loss].shared_weight:
            rate *= BIAS_RATE
        decay = recipe.weight_decay if weight.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(weight)
    return [
        {"params": weights, "lr": rate, "weight_decay": decay}
        for (rate, decay), weights in groups.items()
    ]


def depth(name: str, layers: int) -> int:
    """How far below the output a weight stands, by its name: 0 is the head, the top layer is 1."""
    if "embed" in name:
        return layers + 1
    number = re.search(r"\.(\d+)\.", name)
    return layers - int(number[1]) if number else 0
