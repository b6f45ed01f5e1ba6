"""Each loss against an independent oracle, its gradient too, and what all of them promise."""

import numpy as np
import pytest
import torch
from coral_pytorch.dataset import (
    corn_label_from_logits,
    levels_from_labelbatch,
    proba_to_label,
)
from coral_pytorch.losses import coral_loss as coral_pytorch_coral_loss
from coral_pytorch.losses import corn_loss as coral_pytorch_corn_loss
from torch import Tensor
from torch.nn import functional

from ordinal.common.types import LossName
from ordinal.distributions.decoding import decode
from ordinal.model.losses import LOSSES

CLASSES = (2, 3, 5, 10)
CORN = LOSSES["corn"]
CORAL = LOSSES["coral"]


def oll_by_a_loop(logits: Tensor, labels: Tensor) -> Tensor:
    rows = []
    for row, label in zip(logits.softmax(dim=1), labels.tolist(), strict=True):
        rows.append(sum(-torch.log(1 - p) * abs(label - k) for k, p in enumerate(row)))
    return torch.stack(rows).mean()


def emd_by_a_loop(logits: Tensor, labels: Tensor) -> Tensor:
    rows = []
    for row, label in zip(logits.softmax(dim=1), labels.tolist(), strict=True):
        true = [float(k == label) for k in range(len(row))]
        rows.append(sum((sum(row[: k + 1]) - sum(true[: k + 1])) ** 2 for k in range(len(row))))
    return torch.stack(rows).mean()


def sord_by_a_loop(logits: Tensor, labels: Tensor) -> Tensor:
    rows = []
    for row, label in zip(logits.log_softmax(dim=1), labels.tolist(), strict=True):
        weights = [np.exp(-((label - k) ** 2)) for k in range(len(row))]
        rows.append(-sum(w / sum(weights) * log for w, log in zip(weights, row, strict=True)))
    return torch.stack(rows).mean()


ORACLES = {
    "corn": lambda logits, labels: coral_pytorch_corn_loss(logits, labels, logits.shape[1] + 1),
    "coral": lambda logits, labels: coral_pytorch_coral_loss(
        logits, levels_from_labelbatch(labels, logits.shape[1] + 1)
    ),
    "cross_entropy": functional.cross_entropy,
    "oll": oll_by_a_loop,
    "mll": lambda logits, labels: (
        functional.cross_entropy(logits, labels) + oll_by_a_loop(logits, labels)
    ),
    "emd": emd_by_a_loop,
    "sord": sord_by_a_loop,
}

every_loss = pytest.mark.parametrize("name", LOSSES)


def draw(name: LossName, classes: int, rows: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(rows, LOSSES[name].outputs(classes), generator=generator)
    return logits.requires_grad_(), torch.randint(classes, (rows,), generator=generator)


@every_loss
@pytest.mark.parametrize("classes", CLASSES)
def test_loss_and_gradient_equal_the_oracles(name: LossName, classes: int) -> None:
    logits, labels = draw(name, classes)
    ours, theirs = LOSSES[name].loss(logits, labels), ORACLES[name](logits, labels)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits), atol=1e-6, rtol=1e-4
    )


@every_loss
@pytest.mark.parametrize("label", range(5))
def test_a_batch_of_one_class_equals_the_oracle(name: LossName, label: int) -> None:
    logits, labels = draw(name, 5)
    labels = torch.full_like(labels, label)
    torch.testing.assert_close(LOSSES[name].loss(logits, labels), ORACLES[name](logits, labels))


@every_loss
@pytest.mark.parametrize("classes", CLASSES)
def test_a_row_of_weight_w_counts_as_w_rows(name: LossName, classes: int) -> None:
    logits, labels = draw(name, classes)
    weights = torch.randint(1, 5, (64,), generator=torch.Generator().manual_seed(classes))
    ours = LOSSES[name].loss(logits, labels, weights.float())
    theirs = ORACLES[name](
        logits.repeat_interleave(weights, dim=0), labels.repeat_interleave(weights)
    )
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits), atol=1e-6, rtol=1e-4
    )


@every_loss
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_equal_weights_change_nothing(name: LossName, weight: float) -> None:
    logits, labels = draw(name, 5)
    plain = LOSSES[name].loss(logits, labels)
    weighted = LOSSES[name].loss(logits, labels, torch.full((64,), weight))
    torch.testing.assert_close(weighted, plain)
    torch.testing.assert_close(
        torch.autograd.grad(weighted, logits), torch.autograd.grad(plain, logits)
    )


@every_loss
@pytest.mark.parametrize("classes", CLASSES)
def test_probabilities_are_distributions_over_the_classes(name: LossName, classes: int) -> None:
    logits, _ = draw(name, classes)
    probabilities = LOSSES[name].probabilities(logits)
    assert probabilities.shape == (64, classes)
    assert (probabilities >= 0).all()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(64))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits_give_finite_losses_and_gradients(
    name: LossName, dtype: torch.dtype, sign: float
) -> None:
    outputs = LOSSES[name].outputs(5)
    # Each row is sure of another class, and the last of none.
    logits = torch.zeros(outputs + 1, outputs, dtype=dtype)
    logits[:outputs].fill_diagonal_(sign * 1e4)
    logits.requires_grad_()
    for label in range(5):
        loss = LOSSES[name].loss(logits, torch.full((outputs + 1,), label))
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()
    assert LOSSES[name].probabilities(logits).isfinite().all()


@every_loss
def test_bfloat16_logits_are_computed_with_in_float32(name: LossName) -> None:
    logits, labels = draw(name, 5)
    half = logits.detach().bfloat16()
    assert torch.equal(LOSSES[name].loss(half, labels), LOSSES[name].loss(half.float(), labels))
    assert torch.equal(LOSSES[name].probabilities(half), LOSSES[name].probabilities(half.float()))


@every_loss
def test_the_loss_is_least_where_the_true_class_is_sure(name: LossName) -> None:
    """Gradient descent on bare logits ends at the truth: each loss is for what it says."""
    labels = torch.arange(5)
    logits = torch.zeros(5, LOSSES[name].outputs(5), requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        LOSSES[name].loss(logits, labels).backward()
        optimizer.step()
    probabilities = LOSSES[name].probabilities(logits).detach().numpy()
    for rule in ("median", "mean", "mode"):
        np.testing.assert_array_equal(decode(probabilities, rule), labels.numpy())


@pytest.mark.parametrize("classes", CLASSES)
def test_median_decoding_of_corn_equals_coral_pytorch(classes: int) -> None:
    logits, _ = draw("corn", classes, rows=500)
    predicted = decode(CORN.probabilities(logits).detach().numpy(), "median")
    np.testing.assert_array_equal(predicted, corn_label_from_logits(logits).numpy())


def test_corn_probabilities_of_a_case_worked_by_hand() -> None:
    # P(y>0) = 3/4, P(y>1 | y>0) = 1/2: the classes have 1/4, 3/8 and 3/8.
    logits = torch.tensor([[np.log(3.0), 0.0]])
    torch.testing.assert_close(CORN.probabilities(logits), torch.tensor([[0.25, 0.375, 0.375]]))


@pytest.mark.parametrize("classes", CLASSES)
def test_median_decoding_of_ordered_coral_equals_coral_pytorch(classes: int) -> None:
    logits = draw("coral", classes, rows=500)[0].detach().sort(dim=1, descending=True).values
    predicted = decode(CORAL.probabilities(logits).numpy(), "median")
    np.testing.assert_array_equal(predicted, proba_to_label(torch.sigmoid(logits)).numpy())


@pytest.mark.parametrize(
    ("exceed", "expected"),
    [
        ([0.75, 0.5, 0.25], [0.25, 0.25, 0.25, 0.25]),
        # Short of the optimum the biases may be out of order: P(y>2) is at most P(y>1).
        ([0.75, 0.25, 0.5], [0.25, 0.5, 0.0, 0.25]),
    ],
)
def test_coral_probabilities_of_a_case_worked_by_hand(
    exceed: list[float], expected: list[float]
) -> None:
    logits = torch.tensor([exceed]).logit()
    torch.testing.assert_close(CORAL.probabilities(logits), torch.tensor([expected]))


def test_only_coral_has_one_score_for_all_its_logits() -> None:
    assert [name for name, loss in LOSSES.items() if loss.shared_weight] == ["coral"]
