"""CORAL's output layer: one shared weight vector and a bias per binary task."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import PreTrainedModel


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """The linear layer whose outputs are the logits."""
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]


def share_weight(model: PreTrainedModel) -> None:
    """Make all logits one score plus a bias each; the biases start at classes all as likely.

    This is CORAL's output layer (Cao et al. 2020). It is a parametrization: once undone, by
    `unshare_weight`, a plain linear layer of equal rows is left.
    """
    layer = output_layer(model)
    tasks = layer.out_features
    parametrize.register_parametrization(layer, "weight", _OneRow(tasks))
    exceed = torch.arange(tasks, 0, -1) / (tasks + 1)
    with torch.no_grad():
        layer.bias.copy_(exceed.logit())


def unshare_weight(model: PreTrainedModel) -> None:
    """Undo `share_weight`, the logits being what they were."""
    parametrize.remove_parametrizations(output_layer(model), "weight")


class _OneRow(nn.Module):
    """A matrix of equal rows, given by one of them."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def forward(self, row: Tensor) -> Tensor:
        return row.repeat(self.rows, 1)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight[:1].clone()
