"""The format of a table: what `ordinal.data` detects, and an entry of the catalog can fix."""

import codecs
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ordinal.common.errors import UserError, quoted
from ordinal.common.validation import describe

Kind = Literal["csv", "json", "jsonl", "fasttext", "parquet", "xlsx"]
Compression = Literal["none", "gzip", "bzip2", "xz", "zstd", "zip"]
Quoting = Literal["standard", "none", "backslash"]

SEPARATOR_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_OF_TEXT = ("kind", "compression", "encoding")
FIELDS_OF: dict[Kind, tuple[str, ...]] = {
    "csv": (*_OF_TEXT, "separator", "quoting", "header", "skip"),
    "json": _OF_TEXT,
    "jsonl": _OF_TEXT,
    "fasttext": _OF_TEXT,
    "parquet": ("kind",),
    "xlsx": ("kind", "header", "skip"),
}
"""The fields that each kind has."""


class Format(BaseModel):
    """The format of a table. To fix parts of a format, set those fields only.

    CSV includes all tables of lines and separators.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind = "csv"
    compression: Compression = "none"
    encoding: str = "utf-8"
    separator: str = ","
    """One character, or one of `SEPARATOR_NAMES`."""
    quoting: Quoting = "standard"
    """Form of quotation marks within texts. standard: doubled, in quoted texts. backslash: each
    after a backslash. none: as they are; no text contains the separator or a line end."""
    header: Literal["first", "none"] = "first"
    """The row with the names of the columns. Without one, their names are 1, 2, …"""
    skip: int = Field(0, ge=0)
    """Lines before the header, or before the first row."""

    @field_validator("separator")
    @classmethod
    def _is_a_character(cls, separator: str) -> str:
        separator = SEPARATOR_NAMES.get(separator, separator)
        if len(separator) != 1 or separator in '"\\\r\n':
            names = ", ".join(SEPARATOR_NAMES)
            raise ValueError(f"{quoted(separator)} is not one character or one of {names}")
        return separator

    @field_validator("encoding")
    @classmethod
    def _is_an_encoding(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
            "".encode(encoding)  # base64 and others are no encodings of text
        except (LookupError, ValueError):
            raise ValueError(f"{quoted(encoding)} is not an encoding that Python knows") from None
        return encoding

    def fields(self) -> dict[str, Any]:
        """Return the fields that the kind has."""
        return {name: getattr(self, name) for name in FIELDS_OF[self.kind]}

    def fixed(self) -> dict[str, Any]:
        """Return the fields that are set."""
        return self.model_dump(exclude_unset=True)

    def describe(self) -> str:
        """Return the fields as a line of the catalog, without the most usual values."""
        usual = {"compression": "none", "header": "first", "skip": 0}
        fields = {name: value for name, value in self.fields().items() if value != usual.get(name)}
        if "separator" in fields:
            fields["separator"] = name_of_separator(self.separator)
        return f"{{{', '.join(f'{name}: {value}' for name, value in fields.items())}}}"

    @classmethod
    def parse(cls, options: Sequence[str]) -> Self:
        """Return the format that options such as `encoding=cp1252` fix.

        Raises:
            UserError: an option has no such field or value.
        """
        fields = dict(option.partition("=")[::2] for option in options)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            problem = error.errors()[0]
            raise UserError(
                f"--format: {describe(problem, problem['loc'])} "
                f"(give FIELD=VALUE, with a field of {', '.join(cls.model_fields)})"
            ) from None


def name_of_separator(separator: str) -> str:
    """Return a separator for a sentence or a line of YAML."""
    names = {character: name for name, character in SEPARATOR_NAMES.items()}
    return names.get(separator, repr(separator))


def advice(field: str, value: str) -> str:
    """Return how to fix a field of a format, for the end of a sentence."""
    return f"add --format {field}={value} (in data/catalog.yaml: `format: {{{field}: {value}}}`)"
