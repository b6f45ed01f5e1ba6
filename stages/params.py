"""params.yaml, typed: one model for the whole file, so that a typing error never runs unnoticed."""

import difflib
import reprlib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from ordinal.errors import UserError, place, shown
from ordinal.files import read_yaml
from ordinal.recipe import Recipe, Section


class Data(Section):
    name: str
    """An entry of data/catalog.yaml, or the path of a file."""
    text: str | None = None
    """Column of the text, if `name` is a path."""
    label: str | None = None
    """Column of the label, if `name` is a path."""

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        if self.text is not None and self.text == self.label:
            raise ValueError(f"{shown(self.text)} can't be both the text and the label")
        return self


class Model(Section):
    name: str
    """An encoder of data/catalog.yaml, a name on the model hub, or a local folder."""
    revision: str | None = None
    """The commit to take, if `name` is one on the model hub."""


class Split(Section):
    method: Literal["shuffle", "hash"] = "shuffle"
    """shuffle: the tutorial's rows; hash: by text, so that no duplicate crosses the split."""
    seed: int = Field(1, ge=0, lt=2**32)
    train: float = Field(0.7, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    """Shares of the rows; they add up to 1."""

    @model_validator(mode="after")
    def _shares_add_up(self) -> Self:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test add up to {total:g}: make it 1")
        return self


class Tokenize(Section):
    max_length: int = Field(512, ge=3)
    """Longest review in tokens, the two special ones counted; what is longer is cut."""


class Evaluate(Section):
    resamples: int = Field(1000, ge=100)
    """Bootstrap resamples behind each 95 % interval."""
    coverage: float = Field(0.9, gt=0, lt=1)
    """How often the interval of classes predicted for a review shall hold the true one."""


class Params(Section):
    data: Data
    model: Model
    split: Split
    tokenize: Tokenize
    train: Recipe
    evaluate: Evaluate


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check params.yaml.

    Raises:
        UserError: the file is missing, is not YAML, or a key is unknown or has a bad value.
    """
    content = read_yaml(path)
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_complaint(error)}") from None


def _first_complaint(error: ValidationError) -> str:
    complaint = error.errors()[0]
    where = place(complaint["loc"])
    if complaint["type"] == "extra_forbidden":
        known = _keys_beside(complaint["loc"])
        close = difflib.get_close_matches(str(complaint["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        return f"{where} is not a parameter; {hint}"
    if complaint["type"] == "missing":
        return f"{where} is missing"
    if complaint["type"] == "value_error":
        return f"{where}: {complaint['ctx']['error']}"
    message = complaint["msg"]
    given = reprlib.repr(complaint["input"])  # of what may be a megabyte, or hold itself
    return f"{where} is {given}: {message[0].lower()}{message[1:]}"


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Params
    for part in location[:-1]:
        annotation = section.model_fields[str(part)].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return list(section.model_fields)
