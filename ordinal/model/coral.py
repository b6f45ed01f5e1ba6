"""CORAL's output layer: one shared weight vector and a bias per binary task.

Reference: Cao, Mirjalili, Raschka (2020), Rank consistent ordinal regression for neural networks
with application to age estimation.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel

from ordinal.model.architecture import output_layer


def share_weight(model: PreTrainedModel) -> None:
    """Make all logits one score plus a bias each, as CORAL requires.

    The biases start where all classes are equally likely. The shared weight is a torch
    parametrization, so that `unshare_weight` leaves a plain linear layer with equal rows.
    """
    layer = output_layer(model)
    tasks = layer.out_features
    parametrize.register_parametrization(layer, "weight", _SharedRow(tasks))
    exceed = torch.arange(tasks, 0, -1) / (tasks + 1)
    with torch.no_grad():
        layer.bias.copy_(exceed.logit())


def unshare_weight(model: PreTrainedModel) -> None:
    """Replace the shared weight by a plain weight matrix that gives the same logits."""
    parametrize.remove_parametrizations(output_layer(model), "weight")


class _SharedRow(nn.Module):
    """Weight matrix whose rows are all the same."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, row: Tensor) -> Tensor:
        return row.repeat(self.rows, 1)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight[:1].clone()
