"""Training: dropout on, the best epoch kept, the schedule as stated, the same bytes each time."""

import dataclasses
import math
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from transformers import (
    AutoModelForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    FNetConfig,
    FNetModel,
    GPT2Config,
    GPT2Model,
    PreTrainedModel,
)

from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.common.types import ClassWeights, LossName, Precision, Schedule
from ordinal.distributions.calibration import Calibration
from ordinal.distributions.decoding import decode
from ordinal.model import device as devices
from ordinal.model.classifier import (
    load_calibration,
    load_classifier,
    new_classifier,
    save_classifier,
    torch_network,
)
from ordinal.model.coral import share_weight, unshare_weight
from ordinal.model.device import choose_precision
from ordinal.model.inference import predict_probabilities
from ordinal.model.losses import LOSSES, class_weights
from ordinal.tokenization.batching import training_batches
from ordinal.tokenization.tokens import Tokens
from ordinal.training import fine_tuning
from ordinal.training import trainer as trainers
from ordinal.training.fine_tuning import FineTuning, fit
from ordinal.training.optimizer import BIAS_RATE, parameter_groups

LABELS = ["poor", "fair", "good"]
RECIPE = Train(epochs=3, batch_size=4, lr=0.01, layer_decay=1.0, accelerator="cpu")
CORAL = RECIPE.model_copy(update={"loss": "coral"})
CALIBRATION = Calibration(temperature=1.5, scores=[0.0, 0.25, 1 / 3])


def draw(rows: int, seed: int = 0) -> Tokens:
    """Reviews in which one token, 5 + label, gives the label away."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    reviews = [
        [2, *rng.integers(10, 15, size=rng.integers(1, 9)), 5 + label, 3] for label in labels
    ]
    offsets = np.cumsum([0, *map(len, reviews)])
    return Tokens(np.concatenate(reviews).astype(np.int32), offsets, labels)


def train(encoder: Path, recipe: Train = RECIPE) -> tuple[PreTrainedModel, list[dict[str, float]]]:
    model = new_classifier(encoder, LABELS, recipe)
    history = fit(model, draw(60), draw(20, seed=1), recipe)
    return model, history.epochs


def logits_of(model: PreTrainedModel, tokens: Tokens) -> Tensor:
    ids, mask = tokens.pad(np.arange(len(tokens)), pad_id=0)
    with torch.no_grad():
        logits: Tensor = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits
    return logits


@pytest.mark.parametrize("loss", ["corn", "coral"])
def test_it_learns_and_keeps_the_epoch_of_least_validation_mae(
    loss: LossName, tiny_encoder: Path
) -> None:
    # From some starts so small a model never tells two of the classes apart.
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
        monkeypatch.setattr(fine_tuning, "batch_tokens", lambda device, tokens=tokens: tokens)
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


class Watch(Callback):
    """Remembers of each batch its labels, the learning rate, and the dropout that was on."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.dropout: set[tuple[bool, float]] = set()
        self.batches: list[list[int]] = []

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])
        self.batches.append(batch[2].tolist())
        self.dropout |= {
            (layer.training, layer.p)
            for layer in module.modules()
            if isinstance(layer, torch.nn.Dropout)
        }


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(FineTuning, "configure_callbacks", lambda _: [watch])
    return watch


@pytest.mark.parametrize(
    ("schedule", "share"),
    [
        ("linear", lambda done: 1 - done),
        ("cosine", lambda done: (1 + math.cos(math.pi * done)) / 2),
        ("constant_with_warmup", lambda done: 1),
    ],
)
def test_dropout_is_on_and_the_rate_rises_and_falls_as_stated(
    schedule: Schedule, share: Callable[[float], float], tiny_encoder: Path, watch: Watch
) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 4, "warmup": 0.25, "schedule": schedule})
    train(tiny_encoder, recipe)
    steps = 4 * 15
    assert watch.dropout == {(True, 0.1), (True, 0.0)}  # the encoder's own, and the attention's
    rise, fall = steps // 4, steps - steps // 4
    expected = [min(step / rise, share(max(step - rise, 0) / fall)) for step in range(steps)]
    assert watch.rates == pytest.approx([recipe.lr * part for part in expected])


@pytest.mark.parametrize(("asked", "expected"), [(0.0, 0.0), (0.3, 0.3), (None, 0.1)])
@pytest.mark.parametrize("kind", [BertModel, DistilBertModel])
def test_the_attentions_dropout_is_what_is_asked_for_whatever_a_config_calls_it(
    kind: type[PreTrainedModel], asked: float | None, expected: float, tmp_path: Path
) -> None:
    sizes = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 1, "vocab_size": 9}
    kind(kind.config_class(**sizes)).save_pretrained(tmp_path)
    model = new_classifier(tmp_path, LABELS, Train(attention_dropout=asked))
    dropout = {name: layer.p for name, layer in model.named_modules() if "dropout" in name}
    found = {
        share
        for name, share in dropout.items()
        if name.endswith((".self.dropout", "attention.dropout"))
    }
    assert found == {expected}
    assert set(dropout.values()) >= {expected, 0.1}


def test_an_encoder_without_what_training_needs_is_refused(tmp_path: Path) -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 9}
    FNetModel(FNetConfig(**sizes)).save_pretrained(tmp_path / "fnet")
    new_classifier(tmp_path / "fnet", LABELS, Train(attention_dropout=None))
    with pytest.raises(UserError, match=r"\(fnet\) has none of .*: set it to null"):
        new_classifier(tmp_path / "fnet", LABELS, Train())
    sizes = {"n_layer": 1, "n_embd": 8, "n_head": 1, "vocab_size": 9}
    GPT2Model(GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(UserError, match=r"gpt2/config\.json has no pad_token_id"):
        new_classifier(tmp_path / "gpt2", LABELS, Train())


def test_fast_attention_is_the_plain_one_and_so_are_its_gradients(tiny_encoder: Path) -> None:
    tokens = draw(16)
    ids, mask = map(torch.from_numpy, tokens.pad(np.arange(16), 0))
    assert not mask.all()
    gradients = []
    for way in ("eager", "sdpa"):
        model = new_classifier(tiny_encoder, LABELS, RECIPE).eval()
        model.set_attn_implementation(way)
        logits = model(input_ids=ids, attention_mask=mask).logits
        LOSSES[RECIPE.loss].loss(logits, torch.from_numpy(tokens.labels)).backward()
        gradients.append([logits, *(weight.grad for weight in model.parameters())])
    for plain, fast in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-6, rtol=1e-4)


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


def norm(tensors: list[Tensor]) -> float:
    return torch.cat([tensor.flatten() for tensor in tensors]).norm().item()


@pytest.mark.parametrize("clip", [1e-3, None])
def test_the_gradient_is_clipped_to_its_norm_or_left_as_it_is(
    clip: float | None, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam's first moment after one step is a tenth of the gradient it was given."""
    before, after = [], []

    class Norm(Callback):
        def on_after_backward(self, trainer, module) -> None:
            before.append(norm([weight.grad.mul_(1000) for weight in module.parameters()]))

        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            moments = [state["exp_avg"] for state in trainer.optimizers[0].state.values()]
            after.append(10 * norm(moments))

    monkeypatch.setattr(FineTuning, "configure_callbacks", lambda _: [Norm()])
    train(tiny_encoder, RECIPE.model_copy(update={"epochs": 1, "batch_size": 60, "clip": clip}))
    assert before[0] > 10
    assert after == pytest.approx(before if clip is None else [clip], rel=1e-3)


def test_bf16_gives_nearly_the_distributions_of_full_precision(tiny_encoder: Path) -> None:
    model, _ = train(tiny_encoder, RECIPE.model_copy(update={"precision": "bf16-mixed"}))
    tokens = draw(50)
    full = predict_probabilities(torch_network(model, precision="32-true"), tokens)
    half = predict_probabilities(torch_network(model, precision="bf16-mixed"), tokens)
    assert not np.array_equal(full, half)
    np.testing.assert_allclose(full, half, atol=0.03)
    # The model itself is as it was.
    again = predict_probabilities(torch_network(model, precision="32-true"), tokens)
    np.testing.assert_array_equal(full, again)


@pytest.mark.parametrize(
    ("asked", "device", "there", "expected"),
    [
        ("auto", "cuda", True, "bf16-mixed"),
        ("auto", "cuda", False, "32-true"),
        ("auto", "cpu", True, "32-true"),
        ("bf16-mixed", "cpu", False, "bf16-mixed"),
        ("32-true", "cuda", True, "32-true"),
    ],
)
def test_the_precision_is_what_is_asked_for_or_what_a_gpu_has(
    asked: Precision, device: str, there: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda _: there)
    assert choose_precision(asked, torch.device(device)) == expected


@pytest.mark.parametrize("there", [True, False])
def test_bf16_that_the_hardware_lacks_is_told_once(
    there: bool,
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda _: there)
    train(tiny_encoder, RECIPE.model_copy(update={"precision": "bf16-mixed", "epochs": 1}))
    assert capsys.readouterr().out.count("this cpu has no bf16") == (not there)


def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    script = """
import resource, sys, torch
from ordinal.model.device import keep_memory
if sys.argv[1:]:
    keep_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(2**20) for _ in range(20)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    given_back, kept = (
        int(subprocess.check_output([sys.executable, "-c", script, *told]))
        for told in ((), ("keep",))
    )
    # Pages that the system had to bring; 20 · 1024 of 4 KB hold the tensors.
    assert (kept < given_back / 2) == (platform.libc_ver()[0] == "glibc")


def test_training_on_a_cpu_keeps_its_memory(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(trainers, "keep_memory", lambda: kept.append(True))
    train(tiny_encoder, RECIPE.model_copy(update={"epochs": 1}))
    assert kept == [True]


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


def tiny_distilbert(folder: Path) -> Path:
    config = DistilBertConfig(vocab_size=20, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
    DistilBertModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("encoder", "depths"),
    [
        (
            "bert",
            {
                "bert.embeddings.": 3,
                "bert.encoder.layer.0.": 2,
                "bert.encoder.layer.1.": 1,
                "bert.pooler.": 0,
                "classifier.": 0,
            },
        ),
        (
            "distilbert",
            {
                "distilbert.embeddings.": 3,
                "distilbert.transformer.layer.0.": 2,
                "distilbert.transformer.layer.1.": 1,
                "pre_classifier.": 0,
                "classifier.": 0,
            },
        ),
    ],
)
def test_the_rate_falls_from_layer_to_layer_downwards(
    encoder: str, depths: dict[str, int], tiny_encoder: Path, tmp_path: Path
) -> None:
    recipe = RECIPE.model_copy(update={"layer_decay": 0.5, "weight_decay": 0.1})
    folder = tiny_encoder if encoder == "bert" else tiny_distilbert(tmp_path)
    model = new_classifier(folder, LABELS, recipe)
    given = [
        (weight, group["lr"], group["weight_decay"])
        for group in parameter_groups(model, recipe)
        for weight in group["params"]
    ]
    names = {weight: name for name, weight in model.named_parameters()}
    assert sorted(names[weight] for weight, _, _ in given) == sorted(names.values())
    for weight, rate, decay in given:
        [depth] = [depths[prefix] for prefix in depths if names[weight].startswith(prefix)]
        assert rate == pytest.approx(recipe.lr * 0.5**depth)
        assert decay == (0.1 if weight.ndim == 2 else 0.0)


@pytest.mark.parametrize(("loss", "times"), [("coral", BIAS_RATE), ("corn", 1)])
def test_corals_biases_alone_have_a_rate_of_their_own(
    loss: LossName, times: int, tiny_encoder: Path
) -> None:
    recipe = RECIPE.model_copy(update={"loss": loss})
    model = new_classifier(tiny_encoder, LABELS, recipe)
    if loss == "coral":
        share_weight(model)
    rates = {
        weight: group["lr"]
        for group in parameter_groups(model, recipe)
        for weight in group["params"]
    }
    assert rates.pop(model.classifier.bias) == recipe.lr * times
    assert set(rates.values()) == {recipe.lr}


def rows_are_equal(layer: nn.Linear) -> bool:
    return torch.equal(layer.weight, layer.weight[:1].expand_as(layer.weight))


def test_coral_begins_at_classes_all_as_likely_and_its_weight_is_shared_and_unshared(
    tiny_encoder: Path,
) -> None:
    model, tokens = new_classifier(tiny_encoder, LABELS, CORAL).eval(), draw(20)
    assert not rows_are_equal(model.classifier)
    share_weight(model)
    assert rows_are_equal(model.classifier)
    start = LOSSES["coral"].probabilities(model.classifier.bias.detach()[None])
    torch.testing.assert_close(start, torch.full((1, 3), 1 / 3))
    shared = logits_of(model, tokens)
    unshare_weight(model)
    assert not parametrize.is_parametrized(model)
    assert torch.equal(logits_of(model, tokens), shared)


def test_coral_trains_one_score_and_ends_as_a_plain_linear_layer(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, equal = [], []

    class Rows(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            weights.append(module.model.classifier.weight.detach().clone())
            equal.append(rows_are_equal(module.model.classifier))

    monkeypatch.setattr(FineTuning, "configure_callbacks", lambda _: [Rows()])
    model, _ = train(tiny_encoder, CORAL)
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
    model = new_classifier(tiny_encoder, LABELS, recipe).eval()
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([2.0, 0.0, -1.0]))
    name = None if kind == "none" else kind
    weight = compute_class_weight(name, classes=np.arange(3), y=labels)
    expected = functional.cross_entropy(
        logits_of(model, tokens), torch.from_numpy(labels), torch.from_numpy(weight).float()
    )
    history = fit(model, tokens, draw(20, seed=1), recipe)
    assert history.epochs[0]["train_loss"] == pytest.approx(expected.item(), abs=2e-5)


@pytest.mark.parametrize(
    "labels", [[0, 0, 0, 1, 2, 2], [0, 0, 0, 2, 2, 4], [3]], ids=["all", "two absent", "one alone"]
)
def test_balanced_weights_are_scikit_learns_and_finite_for_a_class_not_there(
    labels: list[int],
) -> None:
    weights = class_weights(torch.tensor(labels), 5, "balanced")
    present = np.unique(labels)
    expected = compute_class_weight("balanced", classes=present, y=labels)
    np.testing.assert_allclose(weights[present], expected, rtol=1e-6)
    assert len(weights) == 5
    assert weights.isfinite().all()
    assert (weights > 0).all()
    assert class_weights(torch.tensor(labels), 5, "none").tolist() == [1.0] * 5


def test_training_stops_early_when_asked_to(tiny_encoder: Path) -> None:
    recipe = RECIPE.model_copy(update={"epochs": 50, "patience": 1})
    _, epochs = train(tiny_encoder, recipe)
    assert len(epochs) < 50
    assert epochs[-1]["validation_mae"] >= epochs[-2]["validation_mae"]


def test_a_saved_classifier_comes_back_as_it_was(tiny_encoder: Path, tmp_path: Path) -> None:
    model, _ = train(tiny_encoder)
    save_classifier(model, CALIBRATION, tiny_encoder, "card", tmp_path)
    tokens = draw(20, seed=2)
    loaded = load_classifier(tmp_path)
    assert load_calibration(tmp_path) == CALIBRATION
    assert not loaded.training
    assert loaded.config.ordinal == {"labels": LABELS, "loss": "emd", "decode": "median"}
    np.testing.assert_array_equal(
        predict_probabilities(torch_network(loaded), tokens),
        predict_probabilities(torch_network(model), tokens),
    )


def test_a_saved_coral_classifier_loads_in_plain_transformers(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    model, _ = train(tiny_encoder, CORAL)
    save_classifier(model, CALIBRATION, tiny_encoder, "card", tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    tokens = draw(20, seed=2)
    assert torch.equal(logits_of(loaded, tokens), logits_of(model, tokens))
    assert list(loaded.config.id2label.values()) == [f"above {label}" for label in LABELS[:-1]]


def test_predictions_do_not_depend_on_the_company_a_review_keeps(tiny_encoder: Path) -> None:
    model = new_classifier(tiny_encoder, LABELS, RECIPE).eval()
    tokens = draw(30)
    together = predict_probabilities(torch_network(model), tokens)
    for row in range(len(tokens)):
        start, end = tokens.offsets[row], tokens.offsets[row + 1]
        alone = Tokens(
            tokens.ids[start:end], np.array([0, end - start]), tokens.labels[row : row + 1]
        )
        np.testing.assert_allclose(
            predict_probabilities(torch_network(model), alone)[0], together[row], atol=1e-6
        )


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_padding_to_eights_and_the_size_of_a_batch_change_nothing(
    precision: Precision, tiny_encoder: Path
) -> None:
    model = new_classifier(tiny_encoder, LABELS, RECIPE).eval()
    network, tokens = torch_network(model, "cpu", precision), draw(40)
    plain = predict_probabilities(network, tokens)
    for changes in ({"multiple": 8}, {"batch_tokens": 1}, {"batch_tokens": 50, "multiple": 4}):
        other = predict_probabilities(dataclasses.replace(network, **changes), tokens)
        np.testing.assert_allclose(other, plain, atol=2e-7 if precision == "32-true" else 2e-3)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("clip", [0.01, None])
def test_the_fused_optimiser_steps_as_the_plain_one_does(
    clip: float | None, precision: Precision, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of each, from the same gradient."""
    fused: list[bool] = []
    gradients: list[Tensor] = []

    class Keep(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
            fused.append(trainer.optimizers[0].defaults["fused"])
            groups = trainer.optimizers[0].param_groups
            gradients.extend(weight.grad.clone() for group in groups for weight in group["params"])

    monkeypatch.setattr(FineTuning, "configure_callbacks", lambda _: [Keep()])
    options = {"epochs": 1, "batch_size": 60, "warmup": 0.0, "clip": clip, "precision": precision}
    recipe = RECIPE.model_copy(update=options)
    expected = new_classifier(tiny_encoder, LABELS, recipe)
    model, _ = train(tiny_encoder, recipe)
    assert fused == [True]
    if clip is not None:
        assert norm(gradients) == pytest.approx(clip, rel=1e-3)
    groups = parameter_groups(expected, recipe)
    weights = [weight for group in groups for weight in group["params"]]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    torch.optim.AdamW(groups, foreach=False).step()
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, atol=1e-6, rtol=1e-5)


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
