"""Training: dropout on, the best epoch kept, the schedule as stated, the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from transformers import PreTrainedModel

from ordinal.batching import Tokens, training_batches
from ordinal.classifier import load_classifier, new_classifier, save_classifier
from ordinal.decoding import decode
from ordinal.errors import UserError
from ordinal.inference import predict_probabilities
from ordinal.recipe import Recipe
from ordinal.training import FineTuning, fit

LABELS = ["poor", "fair", "good"]
RECIPE = Recipe(epochs=3, batch_size=4, lr=0.01, accelerator="cpu")


def draw(rows: int, seed: int = 0) -> Tokens:
    """Reviews in which one token, 5 + label, gives the label away."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    reviews = [
        [2, *rng.integers(10, 15, size=rng.integers(1, 9)), 5 + label, 3] for label in labels
    ]
    offsets = np.cumsum([0, *map(len, reviews)])
    return Tokens(np.concatenate(reviews).astype(np.int32), offsets, labels)


def train(encoder: Path, recipe: Recipe = RECIPE) -> tuple[PreTrainedModel, list[dict[str, float]]]:
    model = new_classifier(encoder, LABELS, recipe)
    history = fit(model, draw(60), draw(20, seed=1), recipe)
    return model, history.epochs


def test_it_learns_and_keeps_the_epoch_of_least_validation_mae(tiny_encoder: Path) -> None:
    model, epochs = train(tiny_encoder, RECIPE.model_copy(update={"epochs": 10}))
    validation = draw(20, seed=1)
    predicted = decode(predict_probabilities(model, validation))
    mae = np.abs(predicted - validation.labels).mean()
    assert mae == pytest.approx(min(epoch["validation_mae"] for epoch in epochs), abs=1e-5)
    assert mae < epochs[0]["validation_mae"] / 2
    assert epochs[-1]["train_loss"] < epochs[0]["train_loss"]


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(tiny_encoder: Path) -> None:
    (first, curve), (second, same_curve) = train(tiny_encoder), train(tiny_encoder)
    other, _ = train(tiny_encoder, RECIPE.model_copy(update={"seed": 2}))
    assert curve == same_curve
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


class Watch(Callback):
    """Remembers of each batch its labels, the learning rate, and whether dropout was on."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.dropout: set[bool] = set()
        self.batches: list[list[int]] = []

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Dropout)]
        assert layers
        self.batches.append(batch[2].tolist())
        self.dropout |= {layer.training and layer.p > 0 for layer in layers}


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(FineTuning, "configure_callbacks", lambda _: [watch])
    return watch


def test_dropout_is_on_and_the_rate_rises_and_falls_as_stated(
    tiny_encoder: Path, watch: Watch
) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 4, "warmup": 0.25})
    train(tiny_encoder, recipe)
    steps = 4 * 15
    assert watch.dropout == {True}
    rise, fall = steps // 4, steps - steps // 4
    expected = [min(step / rise, (steps - step) / fall) * recipe.lr for step in range(steps)]
    assert watch.rates == pytest.approx(expected)


def test_each_epoch_has_the_batches_of_its_own_order(tiny_encoder: Path, watch: Watch) -> None:
    train(tiny_encoder)
    tokens = draw(60)
    orders = [training_batches(tokens.lengths, 4, RECIPE.seed, epoch) for epoch in range(3)]
    expected = [tokens.labels[rows].tolist() for order in orders for rows in order]
    assert watch.batches == expected


def test_accumulated_batches_make_one_step_of_the_rate(tiny_encoder: Path, watch: Watch) -> None:
    train(tiny_encoder, RECIPE.model_copy(update={"epochs": 1, "accumulate": 5, "warmup": 0.0}))
    # 15 batches in 3 steps, the rate falling linearly to 0 after the last.
    expected = [RECIPE.lr * (1 - step / 3) for step in range(3) for _ in range(5)]
    assert watch.rates == pytest.approx(expected)


def test_the_gradient_is_clipped_to_its_norm(tiny_encoder: Path) -> None:
    """Adam's first moment after one step is a tenth of the gradient it was given."""
    norms = []

    class Norm(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            moments = [state["exp_avg"] for state in trainer.optimizers[0].state.values()]
            norms.append(10 * torch.cat([moment.flatten() for moment in moments]).norm().item())

    recipe = RECIPE.model_copy(update={"epochs": 1, "batch_size": 60, "clip": 1e-3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTuning, "configure_callbacks", lambda _: [Norm()])
        train(tiny_encoder, recipe)
    assert norms == pytest.approx([1e-3], rel=1e-3)


def test_bf16_gives_nearly_the_distributions_of_full_precision(tiny_encoder: Path) -> None:
    model, _ = train(tiny_encoder, RECIPE.model_copy(update={"precision": "bf16-mixed"}))
    tokens = draw(50)
    full = predict_probabilities(model, tokens, precision="32-true")
    half = predict_probabilities(model, tokens, precision="bf16-mixed")
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, atol=0.03)


def test_a_run_that_diverges_is_no_result(tiny_encoder: Path) -> None:
    with pytest.raises(UserError, match=r"diverged in epoch 1 .* lower train\.lr"):
        train(tiny_encoder, RECIPE.model_copy(update={"lr": 1e30}))


def test_weight_decay_spares_biases_and_normalisation(tiny_encoder: Path) -> None:
    model = new_classifier(tiny_encoder, LABELS, RECIPE)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    # So strong a decay takes every matrix to near 0 and must leave the rest alone.
    fit(model, draw(60), draw(20), RECIPE.model_copy(update={"lr": 1e-3, "weight_decay": 500.0}))
    after = dict(model.named_parameters())
    norm = "bert.encoder.layer.0.output.LayerNorm.weight"
    matrix = "bert.encoder.layer.0.output.dense.weight"
    assert after[norm].abs().mean() > 0.9 * before[norm].abs().mean()
    assert after[matrix].abs().mean() < 0.5 * before[matrix].abs().mean()


def test_training_stops_early_when_asked_to(tiny_encoder: Path) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 50, "patience": 1})
    _, epochs = train(tiny_encoder, recipe)
    assert len(epochs) < 50
    assert epochs[-1]["validation_mae"] >= epochs[-2]["validation_mae"]


def test_a_saved_classifier_comes_back_as_it_was(tiny_encoder: Path, tmp_path: Path) -> None:
    model, _ = train(tiny_encoder)
    save_classifier(model, tiny_encoder, "card", tmp_path)
    tokens = draw(20, seed=2)
    loaded = load_classifier(tmp_path)
    assert not loaded.training
    assert loaded.config.ordinal == {"labels": LABELS, "loss": "corn", "decode": "median"}
    np.testing.assert_array_equal(
        predict_probabilities(loaded, tokens), predict_probabilities(model, tokens)
    )


def test_predictions_do_not_depend_on_the_company_a_review_keeps(tiny_encoder: Path) -> None:
    model = new_classifier(tiny_encoder, LABELS, RECIPE).eval()
    tokens = draw(30)
    together = predict_probabilities(model, tokens)
    for row in range(len(tokens)):
        start, end = tokens.offsets[row], tokens.offsets[row + 1]
        alone = Tokens(
            tokens.ids[start:end], np.array([0, end - start]), tokens.labels[row : row + 1]
        )
        np.testing.assert_allclose(predict_probabilities(model, alone)[0], together[row], atol=1e-6)


def test_folders_that_hold_no_model_of_ours_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        load_classifier(tmp_path)
    with pytest.raises(UserError, match="was not trained by this project"):
        load_classifier(tiny_encoder)


def test_a_gpu_that_is_not_there_is_asked_for_in_vain(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"train\.accelerator is gpu"):
        train(tiny_encoder, RECIPE.model_copy(update={"accelerator": "gpu"}))
