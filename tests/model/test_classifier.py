"""The classifier: created, saved, loaded, and read the same in batches of any size."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils import parametrize
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    DistilBertModel,
    FNetConfig,
    FNetModel,
    GPT2Config,
    GPT2Model,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from ordinal.common.choices import Precision
from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import (
    bf16_copy,
    load_calibration,
    load_classifier,
    new_classifier,
    save_classifier,
    torch_network,
)
from ordinal.model.coral import share_weight, unshare_weight
from ordinal.model.inference import predict_probabilities
from ordinal.model.losses import LOSSES
from ordinal.tokenization.tokens import Tokens
from tests.tiny import (
    LABELS,
    RECIPE,
    classifier_for,
    draw,
    logits_of,
    rows_are_equal,
    scores_of,
    train,
)

CORAL = RECIPE.model_copy(update={"loss": "coral"})
LAYER = "bert.encoder.layer.1.output.dense.weight"
CALIBRATION = Calibration(temperature=1.5, scores=scores_of([0.0, 0.25, 1 / 3], 3))


@pytest.mark.parametrize(("asked", "expected"), [(0.0, 0.0), (0.3, 0.3), (None, 0.1)])
@pytest.mark.parametrize("kind", [BertModel, DistilBertModel])
def test_the_attentions_dropout_is_what_is_asked_for_whatever_a_config_calls_it(
    kind: type[PreTrainedModel], asked: float | None, expected: float, tmp_path: Path
) -> None:
    sizes = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 1, "vocab_size": 9}
    kind(kind.config_class(**sizes)).save_pretrained(tmp_path)
    model = new_classifier(tmp_path, LABELS, "emd", attention_dropout=asked)
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
    new_classifier(tmp_path / "fnet", LABELS, "emd")
    with pytest.raises(UserError, match=r"\(fnet\) has none of .*: set it to null"):
        new_classifier(tmp_path / "fnet", LABELS, "emd", attention_dropout=0.0)
    sizes = {"n_layer": 1, "n_embd": 8, "n_head": 1, "vocab_size": 9}
    GPT2Model(GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(UserError, match=r"gpt2/config\.json has no pad_token_id"):
        new_classifier(tmp_path / "gpt2", LABELS, "emd")


@pytest.mark.parametrize("labels", [3, 5])
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (BertForSequenceClassification, BertConfig),
        (BertForTokenClassification, BertConfig),
        (RobertaForSequenceClassification, RobertaConfig),  # its head has a layer of its own
    ],
)
def test_the_head_of_a_fine_tuned_classifier_is_replaced(
    kind: type[PreTrainedModel],
    config: type[PreTrainedConfig],
    labels: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Even if the new head has the same shape."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    tuned = kind(config(**sizes, num_labels=labels, problem_type="multi_label_classification"))
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.fill_(0.5)
    tuned.save_pretrained(tmp_path / "tuned")
    tuned.base_model.save_pretrained(tmp_path / "bare")
    capsys.readouterr()
    model = new_classifier(tmp_path / "tuned", LABELS, "emd", seed=3)
    out, err = capsys.readouterr()
    assert out == f"train: {tmp_path}/tuned is a fine-tuned classifier: its head is replaced\n"
    assert "ignore_mismatched_sizes" not in err
    new_classifier(tmp_path / "bare", LABELS, "emd", seed=3)
    assert capsys.readouterr().out == ""
    for name, weight in model.named_parameters():
        if "pooler" not in name:  # BertForTokenClassification has none
            kept = bool((weight == 0.5).all())
            assert kept == name.startswith(f"{model.base_model_prefix}."), name
    again = new_classifier(tmp_path / "tuned", LABELS, "emd", seed=3)
    assert all(map(torch.equal, model.parameters(), again.parameters()))
    assert model.config.problem_type is None
    assert model.config.label2id == {"poor": 0, "fair": 1, "good": 2}


def test_a_model_of_this_project_is_an_encoder_too(tiny_encoder: Path, tmp_path: Path) -> None:
    model, _ = train(tiny_encoder, CORAL)
    save_classifier(model, CALIBRATION, tiny_encoder, "card", tmp_path)
    again = new_classifier(tmp_path, ["no", "yes"], "emd")
    assert again.config.ordinal == {"labels": ["no", "yes"], "loss": "emd", "decode": "median"}
    assert again.classifier.weight.shape == (2, 16)
    assert torch.equal(again.get_parameter(LAYER), model.get_parameter(LAYER))


def test_weights_that_do_not_fit_the_config_are_named(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_encoder, tmp_path / "encoder"))
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"intermediate_size": 48})
    message = (
        r"encoder: bert\.encoder\.layer\.0\.intermediate\.dense\.bias in model\.safetensors has "
        r"the shape \(32,\), but config\.json asks for \(48,\)"
    )
    with pytest.raises(UserError, match=message):
        new_classifier(folder, LABELS, "emd")


def test_a_damaged_model_folder_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    model = classifier_for(tiny_encoder, RECIPE)
    save_classifier(model, CALIBRATION, tiny_encoder, "card", tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    save_file(weights | {"classifier.bias": torch.zeros(4)}, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"classifier\.bias .* has the shape \(4,\), .* \(3,\)"):
        load_classifier(tmp_path)
    del weights["classifier.bias"]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(UserError, match=r"is damaged: its weights lack classifier\.bias"):
        load_classifier(tmp_path)


def test_fast_attention_is_the_plain_one_and_so_are_its_gradients(tiny_encoder: Path) -> None:
    tokens = draw(16)
    ids, mask = map(torch.from_numpy, tokens.pad(np.arange(16), 0))
    assert not mask.all()
    gradients = []
    for way in ("eager", "sdpa"):
        model = classifier_for(tiny_encoder, RECIPE).eval()
        model.set_attn_implementation(way)
        logits = model(input_ids=ids, attention_mask=mask).logits
        LOSSES[RECIPE.loss].loss(logits, torch.from_numpy(tokens.labels)).backward()
        gradients.append([logits, *(weight.grad for weight in model.parameters())])
    for plain, fast in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-6, rtol=1e-4)


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


def test_only_the_weights_of_layer_normalization_stay_in_full_precision(tiny_encoder: Path) -> None:
    model = classifier_for(tiny_encoder, RECIPE)
    for keep in (True, False):
        half = bf16_copy(model, keep_norms=keep)
        full = {name for name, weight in half.named_parameters() if weight.dtype == torch.float32}
        norms = {name for name, _ in model.named_parameters() if "LayerNorm" in name}
        assert full == (norms if keep else set())
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_coral_begins_at_classes_all_as_likely_and_its_weight_is_shared_and_unshared(
    tiny_encoder: Path,
) -> None:
    model, tokens = classifier_for(tiny_encoder, CORAL).eval(), draw(20)
    assert not rows_are_equal(model.classifier)
    share_weight(model)
    assert rows_are_equal(model.classifier)
    start = LOSSES["coral"].probabilities(model.classifier.bias.detach()[None])
    torch.testing.assert_close(start, torch.full((1, 3), 1 / 3))
    shared = logits_of(model, tokens)
    unshare_weight(model)
    assert not parametrize.is_parametrized(model)
    assert torch.equal(logits_of(model, tokens), shared)


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
    model = classifier_for(tiny_encoder, RECIPE).eval()
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
    model = classifier_for(tiny_encoder, RECIPE).eval()
    network, tokens = torch_network(model, "cpu", precision), draw(40)
    plain = predict_probabilities(network, tokens)
    for changes in ({"multiple": 8}, {"batch_tokens": 1}, {"batch_tokens": 50, "multiple": 4}):
        other = predict_probabilities(dataclasses.replace(network, **changes), tokens)
        np.testing.assert_allclose(other, plain, atol=2e-7 if precision == "32-true" else 2e-3)


def test_folders_that_hold_no_model_of_ours_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        load_classifier(tmp_path)
    with pytest.raises(UserError, match="was not trained by this project"):
        load_classifier(tiny_encoder)


def test_a_calibration_of_another_version_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "old"))
    write_json(folder / "calibration.json", {"temperature": 1.3, "scores": [0.1, 0.5]})
    message = "old can't be loaded as a model: its calibration was written by an earlier version of"
    with pytest.raises(UserError, match=message):
        load_calibration(folder)
