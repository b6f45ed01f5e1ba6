"""Read a study: a YAML file that lists variants and the parameters that each of them sets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ordinal.common.choices import Metric
from ordinal.common.errors import UserError, dotted_path, one_line, quoted
from ordinal.common.params import SECTIONS, Data, Model
from ordinal.common.paths import CATALOG, STUDIES
from ordinal.common.validation import UNKNOWN_KEY, describe, suggest
from ordinal.experiments.overrides import SAME_ROWS, SEED, in_hydra, refuse_unknown
from ordinal.sources.catalog import Encoder, FolderSource, load_catalog

Parameters = Annotated[
    dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)
]
"""Values by dotted name, such as `train.lr`. An empty key of the file sets none."""


@dataclass(frozen=True)
class Study:
    """A study whose parameters exist and have valid values."""

    name: str
    """The file's name without its suffix."""
    metric: Metric
    seeds: int
    """Runs per variant, with seeds 1 to `seeds`."""
    reference: str
    """The variant that the others are compared with."""
    variants: Mapping[str, tuple[str, ...]]
    """Changes of each variant to params.yaml, as DVC's overrides (`train.lr=5e-05`)."""
    files: frozenset[Path]
    """The local data files and encoders of the variants."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    description: str
    metric: Metric = "mae"
    seeds: int = Field(5, ge=1)
    reference: str
    set: Parameters = Field(default_factory=dict)
    variants: Annotated[dict[str, Parameters], BeforeValidator(lambda value: value or {})]

    @model_validator(mode="after")
    def _reference_is_a_variant(self) -> Self:
        if len(self.variants) < 2:
            raise ValueError("variants: a study compares at least two, so add another one")
        if self.reference not in self.variants:
            known = suggest(self.reference, self.variants)
            raise ValueError(f"reference {quoted(self.reference)} is not a variant; {known}")
        return self


def load_study(path: Path) -> Study:
    """Read and check a study, whose parameters change those of ./params.yaml.

    Raises:
        UserError: the file is missing or not valid YAML, a key or parameter is unknown or has a bad
            value, there are fewer than two variants, the reference is not one of them, or the
            variants would be tested on different rows.
    """
    content = _read(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a study: it must contain {', '.join(_File.model_fields)}")
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {_first_problem(error)}") from None
    _refuse_unknown_parameters(path, "set", file.set)
    for name, parameters in file.variants.items():
        _refuse_unknown_parameters(path, f"variants.{name}", parameters)
        _refuse_other_rows(path, f"variants.{name}", parameters)
    variants = {name: _overrides(path, file, name) for name in file.variants}
    files = frozenset(_local_files(file))
    return Study(path.stem, file.metric, file.seeds, file.reference, variants, files)


def _read(path: Path) -> Any:
    """Read a YAML file, in which a key that is there twice is an error."""
    try:
        return YAML(typ="safe").load(path)
    except (FileNotFoundError, IsADirectoryError):
        problem = "is a folder" if path.is_dir() else "is missing"
        studies = ", ".join(sorted(map(str, STUDIES.glob("*.yaml")))) or "none"
        raise UserError(f"{path} {problem}; the studies here are: {studies}") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        raise UserError(f"{path}, line {line}: not valid YAML: {error.problem}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML: {one_line(error)}") from None


def _refuse_unknown_parameters(path: Path, place: str, parameters: Mapping[str, Any]) -> None:
    for key in parameters:
        if key == SEED:
            raise UserError(f"{path}: {place}.{key}: the study sets the seeds itself; remove it")
        refuse_unknown(f"{path}: {place}.{key}", key)


def _refuse_other_rows(path: Path, place: str, parameters: Mapping[str, Any]) -> None:
    """Refuse variants that could not be compared after all of them were trained."""
    for key in parameters:
        if key.startswith(SAME_ROWS):
            raise UserError(
                f"{path}: {place}.{key}: variants are compared on the same test rows, so move it "
                "to `set`, which applies to all variants"
            )


def _local_files(file: _File) -> Iterator[Path]:
    data, model = Data.load(), Model.load()
    for own in file.variants.values():
        parameters = {"data.name": data.name, "model.name": model.name} | file.set | own
        yield from local_files(parameters["data.name"], parameters["model.name"])


def local_files(data: str, model: str) -> list[Path]:
    """Return the local files and folders of a data set and an encoder, given by their names."""
    catalog = load_catalog(CATALOG)
    sources: list[Any] = [*catalog.data[data].sources] if data in catalog.data else [data]
    sources += _folders(catalog.encoders[model]) if model in catalog.encoders else [model]
    return [Path(source) for source in sources if isinstance(source, str) and Path(source).exists()]


def _folders(encoder: Encoder) -> list[str]:
    return [source.folder for source in encoder.sources if isinstance(source, FolderSource)]


def _overrides(path: Path, file: _File, variant: str) -> tuple[str, ...]:
    """Return the overrides of a variant, with the values as params.yaml's schema reads them."""
    own = file.variants[variant]
    changes: dict[str, dict[str, Any]] = {}
    for parameter, value in (file.set | own).items():
        section, key = parameter.split(".")
        changes.setdefault(section, {})[key] = value
    overrides = []
    for section, values in changes.items():
        model = SECTIONS[section]
        current = model.load().model_dump()
        try:
            checked = model.model_validate(current | values)
        except ValidationError as error:
            key = ".".join([section, *map(str, error.errors()[0]["loc"][:1])])
            place = "set" if key in file.set and key not in own else f"variants.{variant}"
            raise UserError(f"{path}: {place}.{_first_problem(error, section)}") from None
        overrides += [f"{section}.{key}={in_hydra(getattr(checked, key))}" for key in values]
    return tuple(overrides)


def _first_problem(error: ValidationError, *section: str) -> str:
    """Return the first problem in one sentence, which begins with the key."""
    problem = error.errors()[0]
    location = (*section, *problem["loc"])
    if problem["type"] in UNKNOWN_KEY:
        known = suggest(location[-1], _File.model_fields)
        return f"{dotted_path(location)} is not a key of a study; {known}"
    if problem["type"] == "value_error" and not location:  # raised for the file as a whole
        return str(problem["ctx"]["error"])
    return describe(problem, location)
