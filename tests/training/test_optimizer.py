"""The optimiser's learning rates, weight decay and steps."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from transformers import PreTrainedModel

from ordinal.common.choices import LossName, Precision
from ordinal.model.architecture import weight_depths
from ordinal.model.coral import share_weight
from ordinal.training.fine_tuning import fit
from ordinal.training.optimizer import BIAS_RATE, parameter_groups
from tests.tiny import RECIPE, classifier_for, draw, norm, train


def depths_of(model: PreTrainedModel) -> dict[str, int]:
    ids = torch.tensor([[2, 5, 3]])
    return weight_depths(model, ids, torch.ones_like(ids))


def test_weight_decay_spares_biases_and_normalisation(tiny_encoder: Path) -> None:
    model = classifier_for(tiny_encoder, RECIPE)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    # So strong a decay takes every matrix to near 0 and must leave the rest alone.
    fit(model, draw(60), draw(20), RECIPE.model_copy(update={"lr": 1e-3, "weight_decay": 500.0}))
    after = dict(model.named_parameters())
    norm = "bert.encoder.layer.0.output.LayerNorm.weight"
    matrix = "bert.encoder.layer.0.output.dense.weight"
    assert after[norm].abs().mean() > 0.9 * before[norm].abs().mean()
    assert after[matrix].abs().mean() < 0.5 * before[matrix].abs().mean()


@pytest.mark.parametrize(("loss", "times"), [("coral", BIAS_RATE), ("corn", 1)])
def test_corals_biases_alone_have_a_rate_of_their_own(
    loss: LossName, times: int, tiny_encoder: Path
) -> None:
    recipe = RECIPE.model_copy(update={"loss": loss})
    model = classifier_for(tiny_encoder, recipe)
    if loss == "coral":
        share_weight(model)
    rates = {
        weight: group["lr"]
        for group in parameter_groups(model, recipe, depths_of(model))
        for weight in group["params"]
    }
    assert rates.pop(model.classifier.bias) == recipe.lr * times
    assert set(rates.values()) == {recipe.lr}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("clip", [0.01, None])
def test_the_fused_optimiser_steps_as_the_plain_one_does(
    clip: float | None, precision: Precision, tiny_encoder: Path
) -> None:
    """One step of each, from the same gradient."""
    fused: list[bool] = []
    gradients: list[Tensor] = []

    class Keep(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            fused.append(trainer.optimizers[0].defaults["fused"])
            groups = trainer.optimizers[0].param_groups
            gradients.extend(weight.grad.clone() for group in groups for weight in group["params"])

    options = {"epochs": 1, "batch_size": 60, "warmup": 0.0, "clip": clip, "precision": precision}
    recipe = RECIPE.model_copy(update=options)
    expected = classifier_for(tiny_encoder, recipe)
    model, _ = train(tiny_encoder, recipe, Keep())
    assert fused == [True]
    if clip is not None:
        assert norm(gradients) == pytest.approx(clip, rel=1e-3)
    groups = parameter_groups(expected, recipe, depths_of(expected))
    weights = [weight for group in groups for weight in group["params"]]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    torch.optim.AdamW(groups, foreach=False).step()
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, atol=1e-6, rtol=1e-5)
