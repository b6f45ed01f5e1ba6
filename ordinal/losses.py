"""Ordinal losses behind one interface: logits to loss, logits to a distribution over K classes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


@dataclass(frozen=True)
class OrdinalLoss:
    """What an ordinal method asks of a network, and what it makes of the answer."""

    outputs: Callable[[int], int]
    """Number of logits for K classes."""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Logits (rows, outputs) and labels (rows,) in 0 … K−1 to the mean loss, a scalar."""
    probabilities: Callable[[Tensor], Tensor]
    """Logits (rows, outputs) to distributions (rows, K) that sum to 1."""


def corn_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """CORN: binary tasks "is y > k, given y > k−1?", each on the rows that meet its condition.

    Shi, Cao, Raschka (2023), Deep neural networks for rank-consistent ordinal regression based on
    conditional probabilities, eq. 5; the mean is over all (row, task) pairs as in coral-pytorch.
    Masked instead of indexed, so that nothing waits for the GPU.
    """
    logits = logits.float()
    tasks = torch.arange(logits.shape[1], device=logits.device)
    above = labels[:, None] > tasks
    conditioned = labels[:, None] >= tasks
    log_likelihood = torch.where(above, logsigmoid(logits), logsigmoid(-logits))
    return -(log_likelihood * conditioned).sum() / conditioned.sum()


def corn_probabilities(logits: Tensor) -> Tensor:
    """The distribution over K classes from CORN's K−1 conditional logits.

    By the chain rule P(y > k) is the product of the conditional probabilities up to k (eq. 4 of
    the paper above); P(y = k) is the difference of two neighbours.
    """
    exceed = logits.float().sigmoid().cumprod(dim=1)
    edge = exceed.new_ones(len(exceed), 1)
    return torch.cat([edge, exceed], dim=1) - torch.cat([exceed, torch.zeros_like(edge)], dim=1)


LOSSES = {
    "corn": OrdinalLoss(lambda classes: classes - 1, corn_loss, corn_probabilities),
}
