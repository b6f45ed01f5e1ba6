"""Fine-tuning in less memory: activation checkpointing, and adapters of low rank (LoRA)."""

import importlib.util
from collections.abc import Container, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.model.architecture import layers

ALPHA = 2  # the output of an adapter is multiplied by this, as in most published recipes


@contextmanager
def saving_memory(model: PreTrainedModel, recipe: Train) -> Iterator[None]:
    """Prepare a classifier for a training in less memory, and make it plain again at the end.

    - With `activation_checkpointing: layers`, the backward pass computes the activations of each
      layer again instead of keeping them. The gradients are the same.
    - With a `lora_rank`, each matrix W of the layers stays as it is, and a product B A of this rank
      is trained and added to it (Hu et al. 2021, LoRA: low-rank adaptation of large language
      models). Embeddings stay as they are, too. At the end B A is added to W for good.

    Raises:
        UserError: the architecture or the strategy does not allow it, or peft is missing.
    """
    if recipe.activation_checkpointing == "layers":
        if not model.supports_gradient_checkpointing:
            raise UserError(
                "train.activation_checkpointing is layers, but transformers does not support it "
                f"for this encoder ({model.config.model_type}): set it to none"
            )
        model.activation_checkpointing_enable()
    if recipe.lora_rank:
        if recipe.strategy == "fsdp":
            raise UserError("train.lora_rank does not work with train.strategy fsdp: use ddp")
        add_adapters(model, recipe.lora_rank, recipe.seed)
    yield
    if recipe.lora_rank:
        merge_adapters(model)
    if recipe.activation_checkpointing == "layers":
        model.activation_checkpointing_disable()
        model.disable_input_require_grads()


def add_adapters(model: PreTrainedModel, rank: int, seed: int) -> None:
    """Add an adapter to each matrix of the layers, and freeze all weights of layers and embeddings.

    Raises:
        UserError: peft is missing.
    """
    if importlib.util.find_spec("peft") is None:
        raise UserError("peft is missing: install it with `pip install '.[lora]'`")
    from peft import LoraConfig, inject_adapter_in_model

    inside = {module for layer in layers(model) for module in layer.modules()}
    outside = [module for module in model.modules() if module not in inside]
    config = LoraConfig(r=rank, lora_alpha=ALPHA * rank, target_modules=_matrices(model, inside))
    torch.manual_seed(seed)
    inject_adapter_in_model(config, model)
    for module in outside:
        if not isinstance(module, nn.Embedding):
            _train_weights_of(module)


def _matrices(model: nn.Module, inside: Container[nn.Module]) -> list[str]:
    """Return the names of the modules of the layers that multiply by a matrix."""
    return [
        name
        for name, module in model.named_modules()
        if module in inside and isinstance(module, nn.Linear | Conv1D)
    ]


def _train_weights_of(module: nn.Module) -> None:
    """Train the weights of a module again, which peft has frozen, but not those of its parts."""
    for weight in module.parameters(recurse=False):
        weight.requires_grad_(True)


def merge_adapters(model: PreTrainedModel) -> None:
    """Add each adapter to its matrix, so that the model has the modules that it had without it."""
    from peft.tuners.lora import LoraLayer

    for name, module in [*model.named_modules()]:
        if isinstance(module, LoraLayer):
            module.merge(safe_merge=True)
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())
    model.requires_grad_(True)
