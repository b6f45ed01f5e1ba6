"""The usual names of train, validation and test, in columns and in names of files."""

from pathlib import Path

from ordinal.common.errors import UserError
from ordinal.common.paths import PARTS

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


def files_of_parts(folder: Path) -> dict[str, Path]:
    """Return the file of each part in a folder: train.*, validation.* (valid, val, dev), test.*.

    Other files are ignored.

    Raises:
        UserError: there is no train.*, or there are two files of one part.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = part_of(path.name.partition(".")[0])
        if part is None or path.suffix in ("", ".dvc") or not path.is_file():
            continue
        if part in files:
            raise UserError(
                f"{folder} has two files for {part}, {files[part].name} and {path.name}: keep one"
            )
        files[part] = path
    if "train" not in files:
        others = sorted(path.name for path in folder.iterdir() if path.is_file())
        example = f", such as {folder / others[0]}" if others else ""
        raise UserError(
            f"data.name: {folder} is a folder: name a file in it{example}, or put train.*, "
            "validation.* and test.* there"
        )
    return {part: files[part] for part in PARTS if part in files}
