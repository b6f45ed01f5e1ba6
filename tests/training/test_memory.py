"""Training in less memory: the gradients of checkpointed layers, and adapters."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from ordinal.common.errors import UserError
from ordinal.model.classifier import load_classifier, new_classifier
from ordinal.training.fine_tuning import fit
from ordinal.training.memory import add_adapters, merge_adapters, saving_memory
from tests.conftest import run_in, set_params
from tests.families import FAMILIES, save_family
from tests.tiny import LABELS, RECIPE, classifier_for, draw

CHECKPOINTED = RECIPE.model_copy(update={"activation_checkpointing": "layers"})
ADAPTED = RECIPE.model_copy(update={"lora_rank": 2, "lr": 0.003, "epochs": 15})
UNSUPPORTED = {"albert", "mpnet"}


def logits_of(model: PreTrainedModel) -> Tensor:
    ids = torch.tensor([[0, 7, 8, 9, 10, 2], [0, 5, 11, 12, 2, 1]])
    logits: Tensor = model(input_ids=ids, attention_mask=(ids != 1).long()).logits
    return logits


def gradients(model: PreTrainedModel) -> dict[str, Tensor]:
    """The gradients of a batch, with dropout."""
    torch.manual_seed(5)
    model.zero_grad()
    logits_of(model).pow(2).sum().backward()
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_checkpointed_layers_have_the_same_gradients(family: str, tmp_path: Path) -> None:
    model = new_classifier(save_family(family, tmp_path), LABELS, "emd")
    plain = gradients(model)
    if (kind := model.config.model_type) in UNSUPPORTED:
        with pytest.raises(UserError, match=rf"does not support it for this encoder \({kind}\)"):
            saving_memory(model, CHECKPOINTED).__enter__()
        return
    calls = []
    with saving_memory(model, CHECKPOINTED):
        for layer in model.modules():
            if getattr(layer, "gradient_checkpointing", False):
                layer.register_forward_pre_hook(lambda *_: calls.append(1))
        checkpointed = gradients(model)
    assert calls
    assert checkpointed.keys() == plain.keys()
    for name, gradient in plain.items():
        assert torch.equal(checkpointed[name], gradient), name
    assert not any(getattr(layer, "gradient_checkpointing", False) for layer in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
def test_merged_adapters_have_the_same_logits(family: str, tmp_path: Path) -> None:
    model = new_classifier(save_family(family, tmp_path), LABELS, "emd").eval()
    names = [name for name, _ in model.named_parameters()]
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    plain = logits_of(model)
    add_adapters(model, 2, seed=1)
    assert torch.allclose(logits_of(model), plain, atol=1e-6)  # B is 0
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    adapted = logits_of(model)
    assert float((adapted - plain).detach().abs().max()) > 1e-3
    merge_adapters(model)
    assert torch.allclose(logits_of(model), adapted, atol=1e-5)
    assert [name for name, _ in model.named_parameters()] == names
    assert all(weight.requires_grad for weight in model.parameters())
    changed = {n for n, w in model.named_parameters() if not torch.equal(w, before[n])}
    assert all(before[name].ndim == 2 for name in changed)


def test_adapters_and_the_head_are_trained_alone(tiny_encoder: Path) -> None:
    model = classifier_for(tiny_encoder, ADAPTED)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    with saving_memory(model, ADAPTED):
        trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
        history = fit(model, draw(60), draw(20, seed=1), ADAPTED)
    assert history.epochs[-1]["train_loss"] < 0.6 * history.epochs[0]["train_loss"]
    assert not any("base_layer" in name or "word_embeddings" in name for name in trained)
    assert {"classifier.weight", "bert.pooler.dense.weight"} <= trained
    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(after[words], before[words])
    query = "bert.encoder.layer.0.attention.self.query.weight"
    assert torch.linalg.matrix_rank(after[query] - before[query], rtol=1e-3) == 2


def test_adapters_are_refused_with_fsdp(tiny_encoder: Path) -> None:
    model = classifier_for(tiny_encoder)
    recipe = ADAPTED.model_copy(update={"strategy": "fsdp"})
    with pytest.raises(
        UserError, match=r"train\.lora_rank does not work with train\.strategy fsdp"
    ):
        saving_memory(model, recipe).__enter__()


def test_the_model_of_the_train_stage_is_plain(finished_project: Path) -> None:
    weights = finished_project / "models/ordinal/model.safetensors"
    before = load_file(weights)
    set_params(finished_project, {"train.lora_rank": 2, "train.activation_checkpointing": "layers"})
    run = run_in(finished_project, "python", "-m", "stages.train")
    assert run.returncode == 0, run.stderr
    assert load_file(weights).keys() == before.keys()
    load_classifier(finished_project / "models/ordinal")
