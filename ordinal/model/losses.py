"""Ordinal losses behind one interface: from logits to a loss, and to a distribution over K classes.

Shapes in all functions: logits (rows, outputs), where outputs is K or K−1; labels (rows,), integers
0 … K−1; class weights (K,), positive.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import coral_pytorch.losses
import torch
from coral_pytorch.dataset import levels_from_labelbatch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import logsigmoid

from ordinal.common.choices import LossName


@dataclass(frozen=True)
class OrdinalLoss:
    """An ordinal method: the outputs that it needs, its loss and its reading of the logits.

    Example:
        >>> loss = LOSSES["corn"]
        >>> logits = torch.zeros(2, loss.outputs(5))  # 2 rows, 5 classes: 4 logits per row
        >>> loss.loss(logits, torch.tensor([0, 4]))
        tensor(0.6931)
        >>> loss.probabilities(logits)[0]
        tensor([0.5000, 0.2500, 0.1250, 0.0625, 0.0625])
    """

    outputs: Callable[[int], int]
    """Number of logits for K classes."""
    mean_loss: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    """Logits, labels and class weights (or None) to a scalar; call it as `loss`."""
    probabilities: Callable[[Tensor], Tensor]
    """Logits to distributions, shape (rows, K), which sum to 1."""
    terms: Callable[[Tensor, int], Tensor] = lambda labels, outputs: torch.ones_like(labels)
    """Labels and number of outputs to the number of terms per row in the mean, shape (rows,)."""
    shared_weight: bool = False
    """True for CORAL's output layer: all logits are one score plus a bias each."""

    def loss(self, logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
        """Mean loss, a scalar in float32; a row of a class of weight w counts as w rows."""
        return self.mean_loss(logits.float(), labels, class_weights)

    def row_weights(
        self, labels: Tensor, classes: int, class_weights: Tensor | None = None
    ) -> Tensor:
        """Weight of each row in the mean loss, shape (rows,), in float64."""
        terms = self.terms(labels, self.outputs(classes)).double()
        return terms if class_weights is None else class_weights.double()[labels] * terms


def corn_loss(logits: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """CORN: K−1 binary tasks "is y > k, given y > k−1?", each on the rows that meet its condition.

    The loss is the mean over all pairs (i, k) of a row and a task with k ≤ y_i of the log loss
    −[y_i > k] log σ(z_ik) − [y_i = k] log(1 − σ(z_ik)).

    coral-pytorch has no class weights. With them, the loss is Σ_c w_c n_c L_c / Σ_c w_c n_c, where
    L_c is coral-pytorch's loss of the rows of class c, and n_c their number of pairs.

    Reference: Shi, Cao, Raschka (2023), Deep neural networks for rank-consistent ordinal regression
    based on conditional probabilities.
    """
    classes = logits.shape[1] + 1
    if class_weights is None:
        return _corn_loss(logits, labels, classes)
    losses, weights = [], []
    for label in labels.unique():
        rows = labels == label
        losses.append(_corn_loss(logits[rows], labels[rows], classes))
        weights.append(class_weights[label] * corn_terms(labels[rows], classes - 1).sum())
    weight = torch.stack(weights)
    return (weight * torch.stack(losses)).sum() / weight.sum()


def _corn_loss(logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    loss: Tensor = coral_pytorch.losses.corn_loss(logits, labels, classes)
    return loss


def corn_terms(labels: Tensor, outputs: int) -> Tensor:
    """Number of tasks whose condition each row meets, shape (rows,): its terms in CORN's mean."""
    return (labels + 1).clamp(max=outputs)


def corn_probabilities(logits: Tensor) -> Tensor:
    """Distributions over K classes, shape (rows, K), from CORN's K−1 conditional logits.

    By the chain rule, P(y > k) is the product of the conditional probabilities up to k. It is
    computed as a sum of logarithms because ONNX has no cumulative product.
    """
    return _from_exceedance(logsigmoid(logits.float()).cumsum(dim=1).exp())


def coral_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """CORAL: the loss of each row, shape (rows,), summed over K−1 tasks "is y > k?".

    loss_i = −Σ_k ([y_i > k] log σ(z_ik) + [y_i ≤ k] log(1 − σ(z_ik))); all tasks weigh the same.

    Reference: Cao, Mirjalili, Raschka (2020), Rank consistent ordinal regression for neural
    networks with application to age estimation.
    """
    classes = logits.shape[1] + 1
    # One row of levels per class: coral-pytorch converts labels one by one, each of which would
    # wait for a GPU.
    levels = levels_from_labelbatch(range(classes), classes).to(logits)[labels]
    loss: Tensor = coral_pytorch.losses.coral_loss(logits, levels, reduction=None)
    return loss


def coral_probabilities(logits: Tensor) -> Tensor:
    """Distributions over K classes, shape (rows, K), from CORAL's K−1 logits of P(y > k).

    These probabilities are proven to fall with k at the optimum only. The running minimum keeps
    the differences from being negative before that.
    """
    return _from_exceedance(_running_minimum(logits.float().sigmoid()))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Log loss of the true class of each row, shape (rows,); ignores the order of the classes."""
    return functional.cross_entropy(logits, labels, reduction="none")


def oll_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Ordinal log loss of each row, shape (rows,): −Σ_k |y − k| log(1 − p_k).

    Each wrong class costs −log(1 − p), weighted by its distance from the true class (α = 1).

    Reference: Castagnos, Mihelich, Dognin (2022), A simple log-based loss function for ordinal text
    classification.
    """
    classes = logits.shape[1]
    # log(1 − p_k) as the log of a sum over the other classes is exact where p_k is near 1.
    own = torch.eye(classes, dtype=torch.bool, device=logits.device)
    others = logits[:, None, :].expand(-1, classes, -1).masked_fill(own, -torch.inf)
    log_not = others.logsumexp(dim=2) - logits.logsumexp(dim=1, keepdim=True)
    return -(_distance(labels, classes) * log_not).sum(dim=1)


def mll_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Multi-task log loss of each row, shape (rows,): cross-entropy plus ordinal log loss.

    Reference: Kasa et al. (2024), arXiv 2405.11775.
    """
    return cross_entropy(logits, labels) + oll_loss(logits, labels)


def emd_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared earth mover's distance of each row, shape (rows,): Σ_k (F_k − [y ≤ k])².

    F is the cumulative distribution. The target is the true class with probability 1.

    Reference: Hou, Yu, Samaras (2016), Squared earth mover's distance-based loss for training deep
    neural networks.
    """
    cumulative = softmax_probabilities(logits).cumsum(dim=1)
    truth = labels[:, None] <= torch.arange(logits.shape[1], device=logits.device)
    return ((cumulative - truth.float()) ** 2).sum(dim=1)


def sord_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each row, shape (rows,), with soft labels: softmax_k(−(y − k)²).

    Reference: Diaz, Marathe (2019), Soft labels for ordinal regression, equation 1.
    """
    soft = (-(_distance(labels, logits.shape[1]) ** 2)).softmax(dim=1)
    return functional.cross_entropy(logits, soft, reduction="none")


def softmax_probabilities(logits: Tensor) -> Tensor:
    """Distributions over K classes, shape (rows, K), from K logits."""
    return logits.float().softmax(dim=1)


def _from_exceedance(exceed: Tensor) -> Tensor:
    """Differences of neighbours in P(y > k), which falls with k: distributions over K classes."""
    edge = torch.ones_like(exceed[:, :1])
    return torch.cat([edge, exceed], dim=1) - torch.cat([exceed, torch.zeros_like(edge)], dim=1)


def _running_minimum(values: Tensor) -> Tensor:
    """Smallest value of each row so far, in the same shape: torch's cummin, which ONNX lacks."""
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
    row_loss: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """Turn a loss per row into its mean, weighted by the rows' classes."""

    def mean_loss(logits: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
        losses = row_loss(logits, labels)
        if class_weights is None:
            return losses.mean()
        weights = class_weights[labels]
        return (weights * losses).sum() / weights.sum()

    return mean_loss


def _softmax_loss(row_loss: Callable[[Tensor, Tensor], Tensor]) -> OrdinalLoss:
    return OrdinalLoss(lambda classes: classes, _mean(row_loss), softmax_probabilities)


LOSSES: dict[LossName, OrdinalLoss] = {
    "corn": OrdinalLoss(lambda classes: classes - 1, corn_loss, corn_probabilities, corn_terms),
    "coral": OrdinalLoss(
        lambda classes: classes - 1, _mean(coral_loss), coral_probabilities, shared_weight=True
    ),
    "cross_entropy": _softmax_loss(cross_entropy),
    "oll": _softmax_loss(oll_loss),
    "mll": _softmax_loss(mll_loss),
    "emd": _softmax_loss(emd_loss),
    "sord": _softmax_loss(sord_loss),
}


def balanced_weights(labels: Tensor, classes: int) -> Tensor:
    """Class weights, shape (K,), with which all classes count the same in the loss of all rows.

    The weight is rows / (number of classes present · rows of the class), as in scikit-learn.
    """
    counts = labels.bincount(minlength=classes)
    return len(labels) / ((counts > 0).sum() * counts.clamp(min=1))
