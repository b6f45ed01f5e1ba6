"""Each loss and its gradient against a plain loop, and properties that all losses share."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from ordinal.common.choices import LossName
from ordinal.distributions.decoding import decode
from ordinal.model.losses import LOSSES, balanced_weights

CLASSES = (2, 3, 5, 10)
CORN = LOSSES["corn"]
CORAL = LOSSES["coral"]


def task_loss(logit: Tensor, above: bool) -> Tensor:
    probability = 1 / (1 + torch.exp(-logit))
    return -torch.log(probability if above else 1 - probability)


def softmax(row: Tensor) -> list[Tensor]:
    powers = [torch.exp(logit) for logit in row]
    return [power / sum(powers) for power in powers]


def corn_terms(row: Tensor, label: int) -> list[Tensor]:
    return [task_loss(logit, label > k) for k, logit in enumerate(row) if label > k - 1]


def coral_terms(row: Tensor, label: int) -> list[Tensor]:
    return [sum(task_loss(logit, label > k) for k, logit in enumerate(row))]


def cross_entropy_terms(row: Tensor, label: int) -> list[Tensor]:
    return [-torch.log(softmax(row)[label])]


def oll_terms(row: Tensor, label: int) -> list[Tensor]:
    return [sum(-torch.log(1 - p) * abs(label - k) for k, p in enumerate(softmax(row)))]


def mll_terms(row: Tensor, label: int) -> list[Tensor]:
    return [cross_entropy_terms(row, label)[0] + oll_terms(row, label)[0]]


def emd_terms(row: Tensor, label: int) -> list[Tensor]:
    found, true = softmax(row), [float(k == label) for k in range(len(row))]
    return [sum((sum(found[: k + 1]) - sum(true[: k + 1])) ** 2 for k in range(len(row)))]


def sord_terms(row: Tensor, label: int) -> list[Tensor]:
    weights = [np.exp(-((label - k) ** 2)) for k in range(len(row))]
    logs = [torch.log(p) for p in softmax(row)]
    return [-sum(w / sum(weights) * log for w, log in zip(weights, logs, strict=True))]


TERMS: dict[LossName, Callable[[Tensor, int], list[Tensor]]] = {
    "corn": corn_terms,
    "coral": coral_terms,
    "cross_entropy": cross_entropy_terms,
    "oll": oll_terms,
    "mll": mll_terms,
    "emd": emd_terms,
    "sord": sord_terms,
}


def loss_by_a_loop(
    name: LossName, logits: Tensor, labels: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """The weighted mean of the terms of all rows."""
    total, weights = torch.zeros(()), 0.0
    for row, label in zip(logits, labels.tolist(), strict=True):
        weight = 1.0 if class_weights is None else class_weights[label].item()
        for term in TERMS[name](row, label):
            total = total + weight * term
            weights += weight
    return total / weights


def assert_same_loss_and_gradient(ours: Tensor, theirs: Tensor, logits: Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, logits), atol=1e-6, rtol=1e-4
    )


every_loss = pytest.mark.parametrize("name", LOSSES)


def draw(name: LossName, classes: int, rows: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    logits = 2 * torch.randn(rows, LOSSES[name].outputs(classes), generator=generator)
    return logits.requires_grad_(), torch.randint(classes, (rows,), generator=generator)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", CLASSES)
def test_loss_and_gradient_equal_a_plain_loop(name: LossName, classes: int, weighted: bool) -> None:
    logits, labels = draw(name, classes)
    weights = torch.linspace(0.3, 4, classes) if weighted else None
    assert_same_loss_and_gradient(
        LOSSES[name].loss(logits, labels, weights),
        loss_by_a_loop(name, logits, labels, weights),
        logits,
    )


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("label", range(5))
def test_a_batch_of_one_class_equals_a_plain_loop(
    name: LossName, label: int, weighted: bool
) -> None:
    logits, labels = draw(name, 5)
    labels = torch.full_like(labels, label)
    weights = torch.linspace(0.3, 4, 5) if weighted else None
    assert_same_loss_and_gradient(
        LOSSES[name].loss(logits, labels, weights), loss_by_a_loop(name, logits, labels), logits
    )


@every_loss
@pytest.mark.parametrize("classes", CLASSES)
def test_a_row_of_a_class_of_weight_w_counts_as_w_rows(name: LossName, classes: int) -> None:
    logits, labels = draw(name, classes)
    weights = torch.arange(1, classes + 1)
    counts = weights[labels]
    assert_same_loss_and_gradient(
        LOSSES[name].loss(logits, labels, weights.float()),
        LOSSES[name].loss(
            logits.repeat_interleave(counts, dim=0), labels.repeat_interleave(counts)
        ),
        logits,
    )


@every_loss
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_equal_weights_change_nothing(name: LossName, weight: float) -> None:
    logits, labels = draw(name, 5)
    assert_same_loss_and_gradient(
        LOSSES[name].loss(logits, labels, torch.full((5,), weight)),
        LOSSES[name].loss(logits, labels),
        logits,
    )


@every_loss
@pytest.mark.parametrize("classes", CLASSES)
def test_row_weights_are_each_rows_share_of_the_mean(name: LossName, classes: int) -> None:
    logits, labels = draw(name, classes, rows=12)
    head, weights = LOSSES[name], torch.linspace(0.3, 4, classes)
    rows = head.row_weights(labels, classes, weights).float()
    alone = [head.loss(logits[i : i + 1], labels[i : i + 1], weights) for i in range(12)]
    torch.testing.assert_close(
        (rows * torch.stack(alone)).sum() / rows.sum(), head.loss(logits, labels, weights)
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
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits_give_finite_losses_and_gradients(
    name: LossName, dtype: torch.dtype, sign: float, weighted: bool
) -> None:
    outputs = LOSSES[name].outputs(5)
    # Each row is sure of another class, and the last of none.
    logits = torch.zeros(outputs + 1, outputs, dtype=dtype)
    logits[:outputs].fill_diagonal_(sign * 1e4)
    logits.requires_grad_()
    weights = torch.linspace(0.3, 4, 5) if weighted else None
    for label in range(5):
        loss = LOSSES[name].loss(logits, torch.full((outputs + 1,), label), weights)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()
    assert LOSSES[name].probabilities(logits).isfinite().all()


@every_loss
@pytest.mark.parametrize("weights", [None, torch.linspace(0.3, 4, 5)])
def test_bfloat16_logits_are_computed_with_in_float32(
    name: LossName, weights: Tensor | None
) -> None:
    logits, labels = draw(name, 5)
    half, head = logits.detach().bfloat16(), LOSSES[name]
    assert torch.equal(head.loss(half, labels, weights), head.loss(half.float(), labels, weights))
    assert torch.equal(head.probabilities(half), head.probabilities(half.float()))


@every_loss
def test_the_loss_is_least_where_the_true_class_is_sure(name: LossName) -> None:
    """Gradient descent on bare logits ends at distributions that decode to the labels."""
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
def test_median_decoding_of_corn_counts_the_tasks_that_are_likely(classes: int) -> None:
    """As in the paper: the label is the number of k with P(y > k) above 1/2."""
    logits = draw("corn", classes, rows=500)[0].detach()
    predicted = decode(CORN.probabilities(logits).numpy(), "median")
    for row, label in zip(logits.double().tolist(), predicted, strict=True):
        exceed, expected = 1.0, 0
        for logit in row:
            exceed /= 1 + np.exp(-logit)
            expected += exceed > 0.5
        assert label == expected


def test_corn_probabilities_of_a_case_worked_by_hand() -> None:
    # P(y>0) = 3/4, P(y>1 | y>0) = 1/2: the classes have 1/4, 3/8 and 3/8.
    logits = torch.tensor([[np.log(3.0), 0.0]])
    torch.testing.assert_close(CORN.probabilities(logits), torch.tensor([[0.25, 0.375, 0.375]]))


@pytest.mark.parametrize("classes", CLASSES)
def test_median_decoding_of_ordered_coral_counts_the_positive_logits(classes: int) -> None:
    logits = draw("coral", classes, rows=500)[0].detach().sort(dim=1, descending=True).values
    predicted = decode(CORAL.probabilities(logits).numpy(), "median")
    for row, label in zip(logits.tolist(), predicted, strict=True):
        assert label == sum(logit > 0 for logit in row)


@pytest.mark.parametrize(
    ("exceed", "expected"),
    [
        ([0.75, 0.5, 0.25], [0.25, 0.25, 0.25, 0.25]),
        # Before the optimum the biases may be out of order: P(y>2) is at most P(y>1).
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


@pytest.mark.parametrize(
    "labels", [[0, 0, 0, 1, 2, 2], [0, 0, 0, 2, 2, 4], [3]], ids=["all", "two absent", "one alone"]
)
def test_balanced_weights_are_scikit_learns_and_finite_for_an_absent_class(
    labels: list[int],
) -> None:
    weights = balanced_weights(torch.tensor(labels), 5)
    present = np.unique(labels)
    expected = compute_class_weight("balanced", classes=present, y=labels)
    np.testing.assert_allclose(weights[present], expected, rtol=1e-6)
    assert len(weights) == 5
    assert weights.isfinite().all()
    assert (weights > 0).all()
