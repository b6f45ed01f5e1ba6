"""Ordinal losses behind one interface: logits to loss, logits to a distribution over K classes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid

from ordinal.recipe import LossName


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
    conditional probabilities; the mean is over all (row, task) pairs, as in coral-pytorch.
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

    By the chain rule P(y > k) is the product of the conditional probabilities up to k, and P(y = k)
    is the difference of two neighbours.
    """
    exceed = logits.float().sigmoid().cumprod(dim=1)
    edge = exceed.new_ones(len(exceed), 1)
    return torch.cat([edge, exceed], dim=1) - torch.cat([exceed, torch.zeros_like(edge)], dim=1)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The log loss of the true class: the classes' order is not used."""
    return functional.cross_entropy(logits.float(), labels)


def oll_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Ordinal log loss: each wrong class pays −log(1 − p), weighed by its distance from the truth.

    Castagnos, Mihelich, Dognin (2022), A simple log-based loss function for ordinal text
    classification: −Σ_k |y − k|^α log(1 − p_k), here with α = 1.
    """
    logits = logits.float()
    classes = logits.shape[1]
    # log(1 − p_k) as the log of a sum over the other classes: exact where p_k is near 1.
    own = torch.eye(classes, dtype=torch.bool, device=logits.device)
    others = logits[:, None, :].expand(-1, classes, -1).masked_fill(own, -torch.inf)
    log_not = others.logsumexp(dim=2) - logits.logsumexp(dim=1, keepdim=True)
    return -(_distance(labels, classes) * log_not).sum(dim=1).mean()


def mll_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy and ordinal log loss, added: Kasa et al. (2024), arXiv 2405.11775."""
    return cross_entropy(logits, labels) + oll_loss(logits, labels)


def emd_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared earth mover's distance between the distribution and the truth.

    Hou, Yu, Samaras (2016), Squared earth mover's distance-based loss for training deep neural
    networks: Σ_k (F_k − 1[y ≤ k])², for one-hot targets on a line.
    """
    cumulative = softmax_probabilities(logits).cumsum(dim=1)
    truth = labels[:, None] <= torch.arange(logits.shape[1], device=logits.device)
    return ((cumulative - truth.float()) ** 2).sum(dim=1).mean()


def sord_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with soft labels, softmax of the negative squared distance from the truth.

    Diaz, Marathe (2019), Soft labels for ordinal regression, eq. 1.
    """
    soft = (-(_distance(labels, logits.shape[1]) ** 2)).softmax(dim=1)
    return functional.cross_entropy(logits.float(), soft)


def softmax_probabilities(logits: Tensor) -> Tensor:
    """The distribution over K classes from K logits."""
    return logits.float().softmax(dim=1)


def _distance(labels: Tensor, classes: int) -> Tensor:
    """|y − k| for each row and class, shape (rows, K)."""
    return (labels[:, None] - torch.arange(classes, device=labels.device)).abs().float()


def _of_classes(loss: Callable[[Tensor, Tensor], Tensor]) -> OrdinalLoss:
    return OrdinalLoss(lambda classes: classes, loss, softmax_probabilities)


LOSSES: dict[LossName, OrdinalLoss] = {
    "corn": OrdinalLoss(lambda classes: classes - 1, corn_loss, corn_probabilities),
    "cross_entropy": _of_classes(cross_entropy),
    "oll": _of_classes(oll_loss),
    "mll": _of_classes(mll_loss),
    "emd": _of_classes(emd_loss),
    "sord": _of_classes(sord_loss),
}
