"""Parameters of params.yaml as DVC's command line sets them: names, checked values, overrides."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from ordinal.common.errors import UserError
from ordinal.common.params import SECTIONS
from ordinal.common.validation import describe, suggest

SEED = "train.seed"
SAME_ROWS = ("data.name", "data.revision", "data.config", "data.label", "data.missing", "split.")
"""Parameters that decide which rows are tested, or what their labels are."""


def parameter_names() -> list[str]:
    """Return the dotted names of all parameters."""
    return [f"{name}.{key}" for name, model in SECTIONS.items() for key in model.model_fields]


def refuse_unknown(place: str, name: str) -> None:
    """Raise a `UserError` that begins with `place` if there is no such parameter."""
    if name not in parameter_names():
        names = suggest(name, parameter_names(), "write parameters of params.yaml as section.key")
        raise UserError(f"{place} is not a parameter; {names}")


def checked_value(place: str, name: str, value: Any) -> Any:
    """Return a value as the schema of ./params.yaml reads it.

    Raises:
        UserError: the parameter can't have this value.
    """
    section, key = name.split(".")
    model = SECTIONS[section]
    try:
        checked = model.model_validate(model.load().model_dump() | {key: value})
    except ValidationError as error:
        problem = error.errors()[0]
        location = (section, *problem["loc"])
        raise UserError(f"{place}: {describe(problem, location)}") from None
    return getattr(checked, key)


def values_in(params: str) -> dict[str, Any]:
    """Return all parameters in the text of a params.yaml, by dotted name."""
    content = yaml.safe_load(params)
    return {
        f"{section}.{key}": value
        for section, model in SECTIONS.items()
        for key, value in model.model_validate(content[section]).model_dump().items()
    }


def overrides_of(values: Mapping[str, Any]) -> list[str]:
    """Return values as DVC's overrides, such as `train.lr=5e-05`."""
    return [f"{name}={in_hydra(value)}" for name, value in values.items()]


def in_hydra(value: Any) -> str:
    """Write a value in the grammar of DVC's overrides, which is Hydra's."""
    from hydra.core.override_parser.types import Quote, QuotedString

    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    if isinstance(value, list | tuple):
        return f"[{','.join(map(in_hydra, value))}]"
    return repr(value)
