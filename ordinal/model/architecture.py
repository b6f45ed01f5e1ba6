"""The parts of a classifier, by its structure: the head, the layers, and the depth of each weight.

Nothing here depends on the names that an architecture gives to its modules.
"""

from collections.abc import Iterator
from typing import TypeGuard

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

Place = tuple[nn.Module, int]


def head(model: PreTrainedModel) -> list[nn.Module]:
    """The modules on top of the encoder."""
    return [module for module in model.children() if module is not model.base_model]


def output_layer(model: PreTrainedModel) -> nn.Linear:
    """The linear layer that computes the logits."""
    # Of the head, because XLM-RoBERTa and CamemBERT register their head before their encoder.
    modules = [layer for part in head(model) or [model] for layer in part.modules()]
    return [layer for layer in modules if isinstance(layer, nn.Linear)][-1]


def layers(model: PreTrainedModel) -> dict[nn.Module, Place]:
    """The layers of the encoder (and decoder), each with its parent and its index in its list.

    Layers are the members of the outermost lists of modules. Some architectures (XLM) have a list
    of attentions and a list of feed-forward networks instead: members with the same parent and
    index are one layer.
    """
    return {
        layer: (parent, index)
        for parent, stack in _stacks(model)
        for index, layer in enumerate(_members(stack))
        if not isinstance(layer, nn.Embedding)
    }


def weight_depths(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> dict[str, int]:
    """Number of layers from the head down to each weight, by its name: 0 is the head.

    A forward pass over `ids` and `mask`, both (rows, width), shows the order in which the modules
    work. A layer that works several times (ALBERT's) has the depth of its last time, which is the
    closest to the head. Embeddings are one below the lowest layer.
    """
    order = _Order(layers(model))
    hooks = [module.register_forward_pre_hook(order) for module in model.modules()]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(input_ids=ids.to(model.device), attention_mask=mask.to(model.device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return {name: _depth(name, model, order) for name, _ in model.named_parameters()}


class _Order:
    """A hook that counts, for each module, the layers that had begun when it last began."""

    def __init__(self, places: dict[nn.Module, Place]) -> None:
        self.places = places
        self.inside = {part for layer in places for part in layer.modules()}
        self.layers = 0
        self.begun: dict[nn.Module, int] = {}
        self._place: Place | None = None
        self._parts: set[nn.Module] = set()

    def __call__(self, module: nn.Module, _: object) -> None:
        if place := self.places.get(module):
            if place != self._place or module in self._parts:
                self.layers += 1
                self._place, self._parts = place, set()
            self._parts.add(module)
        self.begun[module] = self.layers


def _depth(weight: str, model: PreTrainedModel, order: _Order) -> int:
    owner = weight.rpartition(".")[0]
    if isinstance(model.get_submodule(owner), nn.Embedding):
        return order.layers + 1
    # Some modules are never called, because their parent uses their weights.
    while model.get_submodule(owner) not in order.begun:
        owner = owner.rpartition(".")[0]
    module = model.get_submodule(owner)
    begun = order.begun[module]
    if begun == order.layers and module not in order.inside:
        return 0
    return order.layers - begun + 1


def _stacks(parent: nn.Module) -> Iterator[tuple[nn.Module, nn.ModuleList]]:
    for child in parent.children():
        if _is_list(child):
            yield parent, child
        else:
            yield from _stacks(child)


def _members(stack: nn.ModuleList) -> Iterator[nn.Module]:
    """The layers of a list, or (in Funnel) of each list of a list."""
    for member in stack:
        if _is_list(member):
            yield from _members(member)
        else:
            yield member


def _is_list(module: nn.Module) -> TypeGuard[nn.ModuleList]:
    return type(module) is nn.ModuleList  # torch's parametrizations are a subclass
