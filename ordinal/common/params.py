"""The sections of params.yaml: their parameters, types, defaults and limits."""

import reprlib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ordinal.common.choices import (
    Accelerator,
    ActivationCheckpointing,
    ClassWeights,
    CoverageBy,
    Decoding,
    Interval,
    LoggerName,
    LossName,
    Missing,
    Precision,
    Schedule,
    SplitMethod,
    Strategy,
    Truncation,
)
from ordinal.common.columns import ColumnNames, TextColumns, as_list
from ordinal.common.costs import CheckedCosts
from ordinal.common.errors import UserError, dotted_path, quoted
from ordinal.common.files import read_yaml
from ordinal.common.folds import Fold
from ordinal.common.paths import PARAMS
from ordinal.common.validation import UNKNOWN_KEY, describe, suggest


class Section(BaseModel):
    """A section of params.yaml. Unknown keys are errors; strings such as `3e-05` become numbers.

    YAML reads `3e-05`, which DVC writes, as a string.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _reject_booleans(cls, value: Any) -> Any:
        if isinstance(value, bool):  # pydantic would read it as the number 1 or 0
            raise PydanticCustomError("boolean", "no parameter is true or false")
        return value

    @classmethod
    def load(cls, path: Path = PARAMS) -> Self:
        """Read and validate this section of params.yaml, and no other.

        Raises:
            UserError: the file is missing or not valid YAML, a section has an unknown name, or
                this section is missing or has an unknown parameter or a bad value.
        """
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise UserError(f"{path} has no sections: it must contain {', '.join(SECTIONS)}")
        if unknown := [key for key in content if key not in SECTIONS]:
            name = dotted_path(unknown[:1])
            raise UserError(f"{path}: {name} is not a section; {suggest(unknown[0], SECTIONS)}")
        name = cls.__name__.lower()
        if wrong := _section_problem(content, name):
            keys = ", ".join(cls.model_fields)
            raise UserError(f"{path}: section {name} {wrong}: set its parameters ({keys})")
        try:
            return cls.model_validate(content[name])
        except ValidationError as error:
            problem = error.errors()[0]
        location = (name, *problem["loc"])
        if problem["type"] in UNKNOWN_KEY:
            hint = suggest(location[-1], cls.model_fields)
            raise UserError(f"{path}: {dotted_path(location)} is not a parameter; {hint}")
        raise UserError(f"{path}: {describe(problem, location)}")


class Data(Section):
    """The data set."""

    name: str
    """An entry of data/catalog.yaml, a file, a folder with its parts, a URL, or hub:OWNER/NAME."""
    revision: str | None = None
    """The commit of a data set of the hub, or sha256:… of the file of a URL."""
    config: str | None = None
    """The configuration of a data set of the hub, if it has several."""
    text: TextColumns | None = None
    """Text column, or several that are joined in this order, unless `name` is an entry."""
    label: str | None = None
    """Label column, if `name` is a path."""
    keep: ColumnNames = []
    """Other columns, such as ids, which come back in the predictions."""
    missing: Missing = "refuse"
    """Rows with a text but no label, or a label but no text: an error, or dropped and counted."""
    costs: CheckedCosts | None = None
    """The cost of each predicted label (columns) for each true label (rows), lowest first. They
    replace those of an entry."""

    @field_validator("label", mode="before")
    @classmethod
    def _may_be_numbers(cls, column: Any) -> Any:
        """The columns of a table without a header are named by number."""
        return str(column) if isinstance(column, int) else column

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        texts = as_list(self.text) if self.text is not None else []
        if self.label in texts:
            raise ValueError(f"{quoted(self.label)} can't be both the text and the label")
        if again := [name for name in self.keep if name in (*texts, self.label)]:
            raise ValueError(
                f"{quoted(again[0])} is already the text or the label: remove it from keep"
            )
        return self


class Model(Section):
    """The pretrained encoder."""

    name: str
    """An encoder of data/catalog.yaml, a repository of the model hub, or a local folder."""
    revision: str | None = None
    """The commit to use, if `name` is a repository of the model hub."""


class Split(Section):
    """The split into train, validation and test."""

    method: SplitMethod = "shuffle"
    """shuffle: the tutorial's rows; hash: by text, so that duplicates are in the same part;
    stratified: each label has the same shares, so that every part has every label; group: all rows
    with the same value of `column` are in the same part; time: train before validation before test,
    by the dates in `column`; given: the parts that the source has, or that `column` names."""
    column: str | None = None
    """The column that the method needs. With shuffle, hash and stratified, a column of groups that
    are counted if they are in several parts."""
    seed: int = Field(1, ge=0, lt=2**32)
    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    """Shares of the rows; they add up to 1."""
    fold: str | None = None
    """Such as 2/5: the test rows are fold 2 of 5, and `train` and `validation` share the others."""

    @field_validator("column", mode="before")
    @classmethod
    def _may_be_a_number(cls, column: Any) -> Any:
        """The columns of a table without a header are named by number."""
        return str(column) if isinstance(column, int) else column

    @model_validator(mode="after")
    def _method_has_its_column(self) -> Self:
        if self.column is None and self.method in ("group", "time"):
            what = {"group": "the groups", "time": "the dates"}[self.method]
            raise ValueError(f"method {self.method} needs a column: set column to that of {what}")
        return self

    @model_validator(mode="after")
    def _method_has_folds(self) -> Self:
        if self.fold is None:
            return self
        Fold.parse(self.fold)
        if self.method in ("time", "given"):
            raise ValueError(
                f"method {self.method} has no folds: set fold to null, or method to shuffle, hash, "
                "stratified or group"
            )
        return self

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test add up to {total:g}: make it 1")
        return self


class Tokenize(Section):
    """Tokenization."""

    max_length: int = Field(512, ge=3)
    """Maximum tokens per review, including special tokens; longer reviews are truncated."""
    truncation: Truncation = "head"
    """head: a longer review keeps its beginning; head_tail: a quarter of the tokens are from its
    beginning, the others from its end."""


class Train(Section):
    """The training recipe."""

    loss: LossName = "corn"
    """Ordinal loss function."""
    class_weights: ClassWeights = "none"
    """balanced: a row's weight in the mean over its batch is the inverse of its class's share."""
    decode: Decoding = "median"
    """Statistic that turns a distribution over the classes into one label; cost: the label with the
    least expected cost."""
    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of the new head, dropout and the batch order."""
    epochs: int = Field(3, ge=1)
    """Passes over the training rows; the weights of the best one by validation MAE are kept."""
    patience: int | None = Field(None, ge=1)
    """Stop after this many epochs without a better validation MAE; null never stops early."""
    batch_size: int = Field(32, ge=1)
    """Reviews per forward pass."""
    accumulate: int = Field(1, ge=1)
    """Forward passes per optimiser step."""
    lr: float = Field(4e-4, gt=0)
    """Peak learning rate of AdamW, for the head."""
    layer_decay: float = Field(0.7, gt=0, le=1)
    """Each layer's learning rate as a fraction of the layer above's; the head's is `lr`."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    schedule: Schedule = "linear"
    """Learning rate after the warm-up: linear or cosine decay to 0, or constant."""
    weight_decay: float = Field(0.01, ge=0)
    """Decoupled weight decay (AdamW); not applied to biases and normalisation weights."""
    clip: float | None = Field(1.0, gt=0)
    """Maximum gradient norm; null disables clipping."""
    attention_dropout: float | None = Field(0.0, ge=0, lt=1)
    """Dropout of the attention weights; null keeps the encoder's own. Any value above 0 makes
    torch use its slowest attention implementation on a CPU."""
    activation_checkpointing: ActivationCheckpointing = "none"
    """layers: compute the activations of each layer again in the backward pass, which takes less
    memory and more time. The result is the same."""
    lora_rank: int | None = Field(None, ge=1)
    """Rank of the adapters that are trained instead of the layers' matrices; null trains these."""
    precision: Precision = "auto"
    """auto: bf16-mixed on a GPU that supports it, else 32-true."""
    accelerator: Accelerator = "auto"
    """auto: the GPU if there is one."""
    devices: int = Field(1, ge=1)
    """GPUs per machine, or processes on its CPU; each takes its share of every batch."""
    num_nodes: int = Field(1, ge=1)
    """Machines."""
    strategy: Strategy = "ddp"
    """With several devices: ddp keeps the whole model on each, fsdp a part of it."""
    checkpoint_every: int | None = Field(100, ge=1)
    """Optimiser steps between checkpoints, in addition to one after each epoch; null: epochs only.
    A stopped run resumes from the last checkpoint; the result does not depend on it."""
    logger: LoggerName = "none"
    """Lightning's logger, to which the learning curves go as the run trains. The result does not
    depend on it, so dvc.yaml does not list it among the parameters of the train stage."""


class Evaluate(Section):
    """The evaluation."""

    resamples: int = Field(1000, ge=100)
    """Bootstrap resamples for each 95 % interval."""
    coverage: float = Field(0.9, gt=0, lt=1)
    """Target coverage of the conformal label intervals."""
    coverage_by: CoverageBy = "none"
    """label: the coverage holds for the rows of each label; none: for all rows together."""
    interval: Interval = "adaptive"
    """adaptive: intervals grow from the most probable label; shortest: the shortest intervals. They
    differ for distributions with several peaks."""


SECTIONS: dict[str, type[Section]] = {
    section.__name__.lower(): section for section in (Data, Model, Split, Tokenize, Train, Evaluate)
}


def _section_problem(content: dict[Any, Any], name: str) -> str | None:
    """Return why params.yaml has no usable section of this name, or None."""
    if name not in content:
        return "is missing"
    if content[name] is None:
        return "is empty"
    return None if isinstance(content[name], dict) else f"is {reprlib.repr(content[name])}"
