"""The parts of a data set: the usual names of train, validation and test, and files of parts."""

from dataclasses import dataclass
from pathlib import Path

PART_OF = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""The part that each name means, in lower case."""


def part_of(name: str) -> str | None:
    """Return the part that a name means, in any case, or None."""
    return PART_OF.get(name.strip().casefold())


@dataclass(frozen=True)
class File:
    """A table of reviews."""

    path: Path
    name: str
    """Used in error messages, since `path` may be a temporary file."""
    part: str | None = None
    """The part that it holds, one of `PARTS`, if the data set is split."""
