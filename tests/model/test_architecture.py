"""The structure of each family: usable length, depth of the weights, and the head."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ordinal.common.errors import UserError
from ordinal.common.files import read_json
from ordinal.common.params import Train
from ordinal.model.architecture import output_layer, weight_depths
from ordinal.model.classifier import new_classifier
from ordinal.tokenization.length import usable_length
from ordinal.tokenization.tokenizer import load_tokenizer
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit
from ordinal.training.optimizer import parameter_groups
from tests.families import FAMILIES, WORDS, save_family
from tests.tiny import LABELS

RECIPE = Train(loss="emd", epochs=1, batch_size=4, layer_decay=0.5, accelerator="cpu", warmup=0.0)
LONG = " ".join(WORDS * 10)


def rows(encoder: Path, length: int) -> Tokens:
    """Four labelled texts that are truncated at a length."""
    tokenizer = load_tokenizer(encoder, length)
    ids = [tokenizer.encode(f"{word} {LONG}").ids for word in WORDS[:4]]
    assert {len(row) for row in ids} == {length}
    tokens = Tokens.of(ids)
    return Tokens(tokens.ids, tokens.offsets, np.array([0, 1, 2, 0]))


def test_a_step_at_the_usable_length_trains_all_layers(family: str, tmp_path: Path) -> None:
    encoder, usable = save_family(family, tmp_path), FAMILIES[family].usable
    tokens = rows(encoder, usable or 60)
    model = new_classifier(encoder, LABELS, "emd")
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    fit(model, tokens, tokens, RECIPE.model_copy(update={"lr": 0.1}))
    in_layers = [name for name in before if FAMILIES[family].depths[prefix_of(name, family)]]
    moved = [name for name in in_layers if not torch.equal(model.get_parameter(name), before[name])]
    assert len(moved) > 0.7 * len(in_layers)  # the key of an attention has a bias without effect


def test_a_token_more_than_the_usable_length_is_refused(family: str, tmp_path: Path) -> None:
    encoder, usable = save_family(family, tmp_path), FAMILIES[family].usable
    if usable is None:
        assert usable_length(read_json(encoder / "config.json")) == math.inf
        return
    with pytest.raises(
        UserError, match=f"is {usable + 1}, but this encoder reads at most {usable} tokens"
    ):
        load_tokenizer(encoder, usable + 1)
    if FAMILIES[family].hard:
        model = new_classifier(encoder, LABELS, "emd").eval()
        ids = torch.full((1, usable + 1), 5)
        ids[:, -1] = 2
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=ids, attention_mask=torch.ones_like(ids))


def prefix_of(name: str, family: str) -> str:
    return max((prefix for prefix in FAMILIES[family].depths if name.startswith(prefix)), key=len)


def test_the_learning_rate_falls_from_layer_to_layer(family: str, tmp_path: Path) -> None:
    encoder = save_family(family, tmp_path)
    model = new_classifier(encoder, LABELS, "emd")
    ids = torch.tensor([[0, 5, 6, 2]])
    depths = weight_depths(model, ids, torch.ones_like(ids))
    assert model.training
    for name, depth in depths.items():
        embedding = isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Embedding)
        expected = FAMILIES[family].depths
        assert depth == (max(expected.values()) if embedding else expected[prefix_of(name, family)])
    names = {weight: name for name, weight in model.named_parameters()}
    recipe = RECIPE.model_copy(update={"weight_decay": 0.1})
    for group in parameter_groups(model, recipe, depths):
        for weight in group["params"]:
            assert group["lr"] == pytest.approx(recipe.lr * 0.5 ** depths[names[weight]])
            assert group["weight_decay"] == (0.1 if weight.ndim > 1 else 0.0)
            del names[weight]
    assert not names  # each weight is in one group


def test_the_logits_come_from_the_output_layer(family: str, tmp_path: Path) -> None:
    """XLM-RoBERTa registers its head before its encoder."""
    model = new_classifier(save_family(family, tmp_path), LABELS, "emd").eval()
    with torch.no_grad():
        output_layer(model).weight.zero_()
        ids = torch.tensor([[0, 5, 6, 2], [0, 7, 8, 2]])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    bias = output_layer(model).bias
    expected = torch.zeros(3) if bias is None else bias
    torch.testing.assert_close(logits, expected.expand(2, 3))


def test_the_attention_dropout_is_set_or_refused_in_a_sentence(family: str, tmp_path: Path) -> None:
    encoder = save_family(family, tmp_path)
    if not FAMILIES[family].attention_dropout:
        with pytest.raises(UserError, match=rf"\({family}\) has none of .*: set it to null"):
            new_classifier(encoder, LABELS, "emd", attention_dropout=0.25)
        return
    model = new_classifier(encoder, LABELS, "emd", attention_dropout=0.25)
    assert 0.25 in list(model.config.to_dict().values())


def test_a_head_without_biases_is_no_head_for_coral(tmp_path: Path) -> None:
    encoder = save_family("gpt2", tmp_path)
    with pytest.raises(UserError, match=r"train\.loss is coral, but the head .*\(gpt2\) has no"):
        new_classifier(encoder, LABELS, "coral")
