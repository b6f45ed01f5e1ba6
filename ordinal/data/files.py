"""The files of a data set: one file, or one or more per part."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A table of reviews."""

    path: Path
    name: str
    """Used in error messages, since `path` may be a temporary file."""
    part: str | None = None
    """The part that it holds, one of `PARTS`, if the data set is split."""
