"""The optimiser of a training run and its learning rate schedule."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel, get_scheduler

from ordinal.common.params import Train
from ordinal.model.architecture import output_layer
from ordinal.model.losses import LOSSES

BIAS_RATE = 100  # learning rate of CORAL's biases, as a multiple of the head's


def optimizer_steps(rows: int, recipe: Train) -> int:
    """Optimiser steps of a whole run over so many training rows."""
    batches = math.ceil(rows / recipe.batch_size)
    return recipe.epochs * math.ceil(batches / recipe.accumulate)


def new_optimizer(
    model: PreTrainedModel, recipe: Train, depths: Mapping[str, int], steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """AdamW, and its learning rate schedule over `steps` optimiser steps."""
    # A fused step reads the weights once. The other implementations read them a dozen times, which
    # takes nearly half of the time of a batch of short texts.
    optimizer = torch.optim.AdamW(parameter_groups(model, recipe, depths), fused=True)
    schedule = get_scheduler(recipe.schedule, optimizer, round(recipe.warmup * steps), steps)
    return optimizer, schedule


def parameter_groups(
    model: PreTrainedModel, recipe: Train, depths: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Parameter groups of the optimiser: a learning rate per depth, weight decay for matrices.

    The learning rate falls by the factor `layer_decay` per layer below the head: discriminative
    fine-tuning (Howard and Ruder 2018, Universal language model fine-tuning for text
    classification, section 3.2). `depths` is the result of `weight_depths`.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    output = output_layer(model)
    for name, weight in model.named_parameters():
        if not weight.requires_grad:  # with adapters
            continue
        rate = recipe.lr * recipe.layer_decay ** depths[name]
        if weight is output.bias and LOSSES[recipe.loss].shared_weight:
            rate *= BIAS_RATE
        decay = recipe.weight_decay if weight.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(weight)
    return [
        {"params": weights, "lr": rate, "weight_decay": decay}
        for (rate, decay), weights in groups.items()
    ]
