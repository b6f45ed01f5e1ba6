"""CORN against coral-pytorch: the loss, its gradient, and the labels it decodes to."""

import numpy as np
import pytest
import torch
from coral_pytorch.dataset import corn_label_from_logits
from coral_pytorch.losses import corn_loss as oracle

from ordinal.decoding import decode
from ordinal.losses import LOSSES

CORN = LOSSES["corn"]
CLASSES = (2, 3, 5, 10)


def draw(classes: int, rows: int = 64, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = scale * torch.randn(rows, CORN.outputs(classes), generator=generator)
    return logits.requires_grad_(), torch.randint(classes, (rows,), generator=generator)


@pytest.mark.parametrize("classes", CLASSES)
def test_loss_and_gradient_equal_coral_pytorch(classes: int) -> None:
    logits, labels = draw(classes)
    ours = CORN.loss(logits, labels)
    (our_gradient,) = torch.autograd.grad(ours, logits)
    theirs = oracle(logits, labels, classes)
    (their_gradient,) = torch.autograd.grad(theirs, logits)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(our_gradient, their_gradient)


@pytest.mark.parametrize("label", range(5))
def test_a_batch_of_one_class_equals_coral_pytorch(label: int) -> None:
    logits, labels = draw(5)
    labels = torch.full_like(labels, label)
    torch.testing.assert_close(CORN.loss(logits, labels), oracle(logits, labels, 5))


@pytest.mark.parametrize("classes", CLASSES)
def test_median_decoding_equals_coral_pytorch(classes: int) -> None:
    logits, _ = draw(classes, rows=500)
    predicted = decode(CORN.probabilities(logits).detach().numpy(), "median")
    np.testing.assert_array_equal(predicted, corn_label_from_logits(logits).numpy())


def test_probabilities_of_a_case_worked_by_hand() -> None:
    # P(y>0) = 3/4, P(y>1 | y>0) = 1/2: the classes have 1/4, 3/8 and 3/8.
    logits = torch.tensor([[np.log(3.0), 0.0]])
    torch.testing.assert_close(CORN.probabilities(logits), torch.tensor([[0.25, 0.375, 0.375]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_extreme_logits_give_finite_losses_gradients_and_distributions(
    extreme: float, dtype: torch.dtype
) -> None:
    logits = torch.full((5, 4), extreme, dtype=dtype, requires_grad=True)
    loss = CORN.loss(logits, torch.arange(5))
    loss.backward()
    probabilities = CORN.probabilities(logits)
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(5))
