"""Training: losses, dropout, schedule, best epoch, and the same bytes each time."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ordinal.common.choices import ClassWeights, LossName, Schedule
from ordinal.common.errors import UserError
from ordinal.distributions.decoding import decode
from ordinal.model import device as devices
from ordinal.model.classifier import torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.tokenization.batching import training_batches
from ordinal.training import data_module
from ordinal.training.fine_tuning import fit
from tests.tiny import RECIPE, classifier_for, draw, logits_of, norm, rows_are_equal, train


@pytest.mark.parametrize("loss", ["corn", "coral"])
def test_it_learns_and_keeps_the_epoch_of_the_lowest_validation_mae(
    loss: LossName, tiny_encoder: Path
) -> None:
    # With some seeds, such a small model never separates two of the classes.
    recipe = RECIPE.model_copy(update={"loss": loss, "epochs": 10, "seed": 4})
    model, epochs = train(tiny_encoder, recipe)
    validation = draw(20, seed=1)
    predicted = decode(predict_probabilities(torch_network(model), validation))
    mae = np.abs(predicted - validation.labels).mean()
    assert mae == pytest.approx(min(epoch["validation_mae"] for epoch in epochs), abs=1e-5)
    assert mae < epochs[0]["validation_mae"] / 2
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]


@pytest.mark.parametrize("loss", ["corn", "oll"])
def test_the_validation_figures_do_not_depend_on_the_batches(
    loss: LossName, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPE.model_copy(update={"loss": loss, "epochs": 1})
    epochs = []
    for tokens in (1, 30, 1000):  # a row, a few, all
        monkeypatch.setattr(data_module, "batch_tokens", lambda device, tokens=tokens: tokens)
        epochs += train(tiny_encoder, recipe)[1]
    assert epochs[0] == pytest.approx(epochs[1], abs=2e-5)
    assert epochs[0] == pytest.approx(epochs[2], abs=2e-5)


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(tiny_encoder: Path) -> None:
    (first, curve), (second, same_curve) = train(tiny_encoder), train(tiny_encoder)
    other, _ = train(tiny_encoder, RECIPE.model_copy(update={"seed": 2}))
    assert curve == same_curve
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


class Kernels(Callback):
    """Record which kernels a training step may use."""

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        self.only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
        self.cudnn = torch.backends.cuda.cudnn_sdp_enabled()


def test_a_gpu_may_use_deterministic_kernels_only(tiny_encoder: Path) -> None:
    kernels = Kernels()
    recipe = RECIPE.model_copy(update={"epochs": 1})
    fit(classifier_for(tiny_encoder, recipe), draw(20), draw(20, seed=1), recipe, None, [kernels])
    assert (kernels.deterministic, kernels.only_warns, kernels.cudnn) == (True, False, False)
    assert torch.backends.cuda.cudnn_sdp_enabled()  # as before


class Watch(Callback):
    """Record the labels, the learning rate and the active dropout of each batch."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.dropout: set[tuple[bool, float]] = set()
        self.batches: list[list[int]] = []

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.batches.append(batch.labels.tolist())
        self.dropout |= {
            (layer.training, layer.p)
            for layer in module.modules()
            if isinstance(layer, torch.nn.Dropout)
        }


@pytest.mark.parametrize(
    ("schedule", "share"),
    [
        ("linear", lambda done: 1 - done),
        ("cosine", lambda done: (1 + math.cos(math.pi * done)) / 2),
        ("constant_with_warmup", lambda done: 1),
    ],
)
def test_dropout_is_on_and_the_rate_rises_and_falls_as_stated(
    schedule: Schedule, share: Callable[[float], float], tiny_encoder: Path
) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 4, "warmup": 0.25, "schedule": schedule})
    watch = Watch()
    train(tiny_encoder, recipe, watch)
    steps = 4 * 15
    assert watch.dropout == {(True, 0.1), (True, 0.0)}  # the encoder's own, and the attention's
    rise, fall = steps // 4, steps - steps // 4
    expected = [min(step / rise, share(max(step - rise, 0) / fall)) for step in range(steps)]
    assert watch.rates == pytest.approx([recipe.lr * part for part in expected])


def test_each_epoch_has_the_batches_of_its_own_order(tiny_encoder: Path) -> None:
    watch = Watch()
    train(tiny_encoder, RECIPE, watch)
    tokens = draw(60)
    orders = [training_batches(tokens.lengths, 4, RECIPE.seed, epoch) for epoch in range(3)]
    expected = [tokens.labels[rows].tolist() for order in orders for rows in order]
    assert watch.batches == expected


def test_accumulated_batches_make_one_step_of_the_rate(tiny_encoder: Path) -> None:
    watch = Watch()
    recipe = RECIPE.model_copy(update={"epochs": 1, "accumulate": 5, "warmup": 0.0})
    train(tiny_encoder, recipe, watch)
    # 15 batches in 3 steps, the rate falling linearly to 0 after the last.
    expected = [RECIPE.lr * (1 - step / 3) for step in range(3) for _ in range(5)]
    assert watch.rates == pytest.approx(expected)


@pytest.mark.parametrize("clip", [1e-3, None])
def test_the_gradient_is_clipped_to_its_norm_or_left_as_it_is(
    clip: float | None, tiny_encoder: Path
) -> None:
    """Adam's first moment after one step is a tenth of the gradient it was given."""
    before, after = [], []

    class Norm(Callback):
        def on_after_backward(self, trainer, module) -> None:
            before.append(norm([weight.grad.mul_(1000) for weight in module.parameters()]))

        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            moments = [state["exp_avg"] for state in trainer.optimizers[0].state.values()]
            after.append(10 * norm(moments))

    recipe = RECIPE.model_copy(update={"epochs": 1, "batch_size": 60, "clip": clip})
    train(tiny_encoder, recipe, Norm())
    assert before[0] > 10
    assert after == pytest.approx(before if clip is None else [clip], rel=1e-3)


@pytest.mark.parametrize("there", [True, False])
def test_missing_bf16_hardware_is_reported_once(
    there: bool,
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda _: there)
    train(tiny_encoder, RECIPE.model_copy(update={"precision": "bf16-mixed", "epochs": 1}))
    assert capsys.readouterr().out.count("this cpu has no bf16") == (not there)


def test_a_run_that_diverges_is_an_error(tiny_encoder: Path) -> None:
    with pytest.raises(UserError, match=r"diverged in epoch 1 .* lower train\.lr"):
        train(tiny_encoder, RECIPE.model_copy(update={"lr": 1e30}))


def test_coral_trains_one_score_and_ends_as_a_plain_linear_layer(tiny_encoder: Path) -> None:
    weights, equal = [], []

    class Rows(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            weights.append(module.model.classifier.weight.detach().clone())
            equal.append(rows_are_equal(module.model.classifier))

    model, _ = train(tiny_encoder, RECIPE.model_copy(update={"loss": "coral"}), Rows())
    assert equal == [True] * 45
    assert not torch.equal(weights[0], weights[-1])
    layer = model.classifier
    assert type(layer) is nn.Linear
    assert not parametrize.is_parametrized(model)
    assert dict(layer.named_parameters()).keys() == {"weight", "bias"}
    assert rows_are_equal(layer)
    start = torch.tensor([2 / 3, 1 / 3]).logit()
    assert (layer.bias - start).abs().min() > 0.01
    assert (layer.bias.diff() < 0).all()


@pytest.mark.filterwarnings("ignore:Found .* in eval mode")
@pytest.mark.parametrize("kind", ["none", "balanced"])
def test_the_training_loss_weighs_the_classes(kind: ClassWeights, tiny_encoder: Path) -> None:
    """One batch of all rows, dropout off: the loss of the first epoch is that of the new model."""
    labels = np.repeat([0, 1, 2], [45, 12, 3])
    tokens = dataclasses.replace(draw(60), labels=labels)
    options = {"loss": "cross_entropy", "class_weights": kind, "epochs": 1, "batch_size": 60}
    recipe = RECIPE.model_copy(update=options)
    model = classifier_for(tiny_encoder, recipe).eval()
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([2.0, 0.0, -1.0]))
    name = None if kind == "none" else kind
    weight = compute_class_weight(name, classes=np.arange(3), y=labels)
    expected = functional.cross_entropy(
        logits_of(model, tokens), torch.from_numpy(labels), torch.from_numpy(weight).float()
    )
    history = fit(model, tokens, draw(20, seed=1), recipe)
    assert history.epochs[0]["train_loss"] == pytest.approx(expected.item(), abs=2e-5)


def test_training_stops_early_when_asked_to(tiny_encoder: Path) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 50, "patience": 1})
    _, epochs = train(tiny_encoder, recipe)
    assert len(epochs) < 50
    assert epochs[-1]["validation_mae"] >= epochs[-2]["validation_mae"]
