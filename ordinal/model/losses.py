"""Ordinal losses behind one interface: logits to loss, logits to a distribution over K classes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid

from ordinal.common.types import ClassWeights, LossName


@dataclass(frozen=True)
class OrdinalLoss:
    """What an ordinal method asks of a network, and what it makes of the answer."""

    outputs: Callable[[int], int]
    """Number of logits for K classes."""
    weighted_loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    """Logits (rows, outputs), labels (rows,) in 0 … K−1 and row weights (rows,) to a scalar."""
    probabilities: Callable[[Tensor], Tensor]
    """Logits (rows, outputs) to distributions (rows, K) that sum to 1."""
    terms: Callable[[Tensor, int], Tensor] = lambda labels, outputs: torch.ones_like(labels)
    """Labels (rows,) and the number of logits to what each row adds to the mean: (rows,) counts."""
    shared_weight: bool = False
    """Whether all logits are one score plus a bias each: the classifier has one row of weights."""

    def loss(self, logits: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> Tensor:
        """The mean loss, a scalar; a row of weight w > 0 counts as w rows, by default as one."""
        if row_weights is None:
            row_weights = torch.ones(len(labels), device=logits.device)
        return self.weighted_loss(logits, labels, row_weights)


def corn_loss(logits: Tensor, labels: Tensor, row_weights: Tensor) -> Tensor:
    """CORN: binary tasks "is y > k, given y > k−1?", each on the rows that meet its condition.

    Shi, Cao, Raschka (2023), Deep neural networks for rank-consistent ordinal regression based on
    conditional probabilities; the mean is over all (row, task) pairs, as in coral-pytorch, so that
    this loss weighs its rows itself: the others are one number a row.
    Masked instead of indexed, so that nothing waits for the GPU.
    """
    conditioned = labels[:, None] >= torch.arange(logits.shape[1], device=logits.device)
    weights = row_weights[:, None] * conditioned
    return (_task_losses(logits, labels) * weights).sum() / weights.sum()


def corn_terms(labels: Tensor, outputs: int) -> Tensor:
    """The tasks whose condition a row meets, shape (rows,): those whose losses are in the mean."""
    return (labels + 1).clamp(max=outputs)


def corn_probabilities(logits: Tensor) -> Tensor:
    """The distribution over K classes from CORN's K−1 conditional logits.

    By the chain rule P(y > k) is the product of the conditional probabilities up to k; summed as
    logarithms, which ONNX can do.
    """
    return _from_exceedance(logsigmoid(logits.float()).cumsum(dim=1).exp())


def coral_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """CORAL: the log losses of the binary tasks "is y > k?", each on every row, added.

    Cao, Mirjalili, Raschka (2020), Rank consistent ordinal regression for neural networks with
    application to age estimation; here all tasks are equally important.
    """
    return _task_losses(logits, labels).sum(dim=1)


def coral_probabilities(logits: Tensor) -> Tensor:
    """The distribution over K classes from CORAL's K−1 logits of P(y > k).

    They are proven to fall with k at the optimum only: short of it the running minimum keeps the
    probabilities from being negative.
    """
    return _from_exceedance(_running_minimum(logits.float().sigmoid()))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The log loss of the true class: the classes' order is not used."""
    return functional.cross_entropy(logits.float(), labels, reduction="none")


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
    return -(_distance(labels, classes) * log_not).sum(dim=1)


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
    return ((cumulative - truth.float()) ** 2).sum(dim=1)


def sord_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with soft labels, softmax of the negative squared distance from the truth.

    Diaz, Marathe (2019), Soft labels for ordinal regression, eq. 1.
    """
    soft = (-(_distance(labels, logits.shape[1]) ** 2)).softmax(dim=1)
    return functional.cross_entropy(logits.float(), soft, reduction="none")


def softmax_probabilities(logits: Tensor) -> Tensor:
    """The distribution over K classes from K logits."""
    return logits.float().softmax(dim=1)


def _task_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """The log loss of each row and binary task "is y > k?", shape (rows, K−1)."""
    logits = logits.float()
    above = labels[:, None] > torch.arange(logits.shape[1], device=logits.device)
    return -torch.where(above, logsigmoid(logits), logsigmoid(-logits))


def _from_exceedance(exceed: Tensor) -> Tensor:
    """The distribution over K classes from P(y > k), falling with k: neighbours' differences."""
    edge = torch.ones_like(exceed[:, :1])
    return torch.cat([edge, exceed], dim=1) - torch.cat([exceed, torch.zeros_like(edge)], dim=1)


def _running_minimum(values: Tensor) -> Tensor:
    """The least of each row so far, shape as given: torch's cummin, in what ONNX can do."""
    step = 1
    while step < values.shape[1]:
        before = functional.pad(values, (step, 0), value=math.inf)[:, :-step]
        values = torch.minimum(values, before)
        step *= 2
    return values


def _distance(labels: Tensor, classes: int) -> Tensor:
    """|y − k| for each row and class, shape (rows, K)."""
    return (labels[:, None] - torch.arange(classes, device=labels.device)).abs().float()


def _mean(
    row_losses: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The weighted mean over the rows of a loss that is one number a row."""

    def weighted_loss(logits: Tensor, labels: Tensor, row_weights: Tensor) -> Tensor:
        return (row_weights * row_losses(logits, labels)).sum() / row_weights.sum()

    return weighted_loss


def _of_classes(row_losses: Callable[[Tensor, Tensor], Tensor]) -> OrdinalLoss:
    return OrdinalLoss(lambda classes: classes, _mean(row_losses), softmax_probabilities)


LOSSES: dict[LossName, OrdinalLoss] = {
    "corn": OrdinalLoss(lambda classes: classes - 1, corn_loss, corn_probabilities, corn_terms),
    "coral": OrdinalLoss(
        lambda classes: classes - 1, _mean(coral_loss), coral_probabilities, shared_weight=True
    ),
    "cross_entropy": _of_classes(cross_entropy),
    "oll": _of_classes(oll_loss),
    "mll": _of_classes(mll_loss),
    "emd": _of_classes(emd_loss),
    "sord": _of_classes(sord_loss),
}


def class_weights(labels: Tensor, classes: int, kind: ClassWeights) -> Tensor:
    """What a row of each class counts for in the loss, shape (K,).

    balanced: rows / (classes present · rows of the class), as in scikit-learn.
    """
    if kind == "none":
        return torch.ones(classes)
    counts = labels.bincount(minlength=classes)
    return len(labels) / ((counts > 0).sum() * counts.clamp(min=1))
