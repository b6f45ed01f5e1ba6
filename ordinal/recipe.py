"""How a model is trained: every choice of the training run in one typed object."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

LossName = Literal["corn", "coral", "cross_entropy", "oll", "mll", "emd", "sord"]
ClassWeights = Literal["none", "balanced"]
Schedule = Literal["linear", "cosine", "constant_with_warmup"]
Decoding = Literal["median", "mean", "mode"]
Precision = Literal["auto", "32-true", "bf16-mixed"]
Accelerator = Literal["auto", "cpu", "gpu"]
Strategy = Literal["ddp", "fsdp"]


class Section(BaseModel):
    """Unknown keys are refused; text such as `3e-05` (PyYAML reads it so) becomes a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):  # left alone, it would be read as the number 1 or 0
            raise ValueError(f"it is {str(value).lower()}, but nothing here is true or false")
        return value


class Recipe(Section):
    """The `train` section of params.yaml."""

    loss: LossName = "emd"
    """How the ordinal problem is put to the network."""
    class_weights: ClassWeights = "none"
    """balanced: a row weighs the inverse of its class's share, in the mean over its batch."""
    decode: Decoding = "median"
    """How a distribution over the classes becomes one label."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Seeds the new head, dropout, and the order of the batches."""
    epochs: int = Field(3, ge=1)
    """Passes over the training rows; the weights of the best one by validation MAE are kept."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without a better validation MAE; null never stops early."""
    batch_size: int = Field(16, ge=1)
    """Reviews a forward pass."""
    accumulate: int = Field(1, ge=1)
    """Forward passes an optimiser step."""
    lr: float = Field(6e-4, gt=0)
    """Peak learning rate of AdamW, for the head."""
    layer_decay: float = Field(0.7, gt=0, le=1)
    """Learning rate of each layer, in that of the layer above it; the head has `lr` itself."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Schedule = "linear"
    """How the learning rate goes on after the warm-up: down to 0, or, if constant, as it is."""
    weight_decay: float = Field(0.01, ge=0)
    """Decoupled weight decay (AdamW); biases and normalisation weights are spared."""
    clip: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient; null leaves it as it is."""
    attention_dropout: float | None = Field(0.0, ge=0, lt=1)
    """Of the attention's weights; null leaves it as the encoder has it. With any, a CPU has to
    compute attention by torch's slowest way."""
    precision: Precision = "auto"
    """auto: bf16-mixed on a GPU that has it, else 32-true."""
    accelerator: Accelerator = "auto"
    """auto: the GPU where there is one."""
    devices: int = Field(1, ge=1)
    """GPUs of each machine, or processes on its CPU: each takes its share of every batch."""
    num_nodes: int = Field(1, ge=1)
    """Machines."""
    strategy: Strategy = "ddp"
    """On several devices: ddp keeps the whole model on each, fsdp a part of it."""
    checkpoint_every: int | None = Field(100, ge=1)
    """Optimiser steps from one checkpoint to the next, besides the one after each epoch; null takes
    only those. A run that was stopped goes on after the last; the result does not depend on it."""
