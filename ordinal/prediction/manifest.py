"""The record of what a folder of predictions was made from, so that no results are mixed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from ordinal.common.choices import Precision
from ordinal.common.errors import UserError
from ordinal.common.files import sha256 as checksum
from ordinal.common.formats import Format
from ordinal.prediction.blocks import Input
from ordinal.prediction.parts import BAD_ROWS, PART, ROWS_PER_PART
from ordinal.prediction.storage import files_below, join, read_text, remove, written_whole

MANIFEST = "_manifest.json"
FILES = "files"
NAMES = {
    "model": "model",
    "coverage": "--coverage",
    "precision": "precision (--bf16)",
    "text": "--text",
    "keep": "--keep",
    "format": "--format",
    "columns": "list of columns",
    "rows_per_part": "version of this program",
}
"""The settings that all runs into a folder have in common, and their names in messages."""


@dataclass(frozen=True)
class Options:
    """The options of a prediction that change its results."""

    text: Sequence[str]
    """The text columns."""
    keep: Sequence[str] = ()
    """The columns to return; all if there are none."""
    format: Format = field(default_factory=Format)
    """The known fields of the format of the files."""
    coverage: float = 0.9
    precision: Precision = "auto"


def settings(model: Path, options: Options, columns: pa.Schema) -> dict[str, Any]:
    """Return what the predictions depend on, apart from the files."""
    return {
        "model": model_checksum(model),
        "coverage": options.coverage,
        "precision": options.precision,
        "text": [*options.text],
        "keep": [*options.keep],
        "format": options.format.fixed(),
        "columns": {column.name: str(column.type) for column in columns},
        "rows_per_part": ROWS_PER_PART,
    }


def model_checksum(model: Path) -> str:
    """Return the SHA-256 of the content of a model: a file, or all files in a folder."""
    if model.is_file():
        return checksum(model)
    files = sorted(path for path in model.rglob("*") if path.is_file())
    lines = [f"{checksum(path)} {path.relative_to(model).as_posix()}" for path in files]
    return sha256("\n".join(lines).encode()).hexdigest()


def read_manifest(out: str) -> dict[str, Any]:
    """Return the manifest of a folder of predictions, or {} if the folder is empty or missing.

    Raises:
        UserError: the folder has files, but no manifest.
    """
    text = read_text(join(out, MANIFEST))
    if text is None:
        if files_below(out):
            raise UserError(f"--out {out} has other files: choose an empty or a new folder")
        return {}
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        raise UserError(f"{join(out, MANIFEST)} is damaged: delete the folder {out}") from None


def known_first(files: Sequence[Input], manifest: Mapping[str, Any]) -> list[Input]:
    """Return the files of earlier runs in their order, and then the new ones."""
    known = list(manifest.get(FILES, {}))
    order = {name: number for number, name in enumerate(known)}
    return sorted(files, key=lambda file: order.get(file.name, len(known)))


def update_manifest(
    out: str, manifest: Mapping[str, Any], now: Mapping[str, Any], files: Sequence[Input]
) -> list[str]:
    """Record a run in the manifest of its folder, and return the files that have changed.

    The parts of these files are removed.

    Args:
        out: The folder of the predictions.
        manifest: The manifest of earlier runs.
        now: The settings of this run.
        files: The files of this run.

    Raises:
        UserError: the results of this run do not belong to those of earlier runs.
    """
    for key, value in now.items():
        if manifest and manifest.get(key) != value:
            raise UserError(
                f"--out {out} has predictions with another {NAMES[key]}: choose another folder, "
                "or delete this one"
            )
    ids = {file.name: file.id for file in files}
    before = manifest.get(FILES, {})
    if gone := sorted(before.keys() - ids.keys()):
        raise UserError(
            f"--out {out} has predictions of {gone[0]}, which is not among the files now: name it, "
            "too, or choose another folder"
        )
    changed = [name for name, id_ in before.items() if ids[name] != id_]
    stale = {before[name] for name in changed}
    for name in files_below(out):
        part = PART.fullmatch(name.removeprefix(f"{BAD_ROWS}/"))
        if part and part[1] in stale:
            remove(join(out, name))
    with written_whole(join(out, MANIFEST)) as draft:
        text = json.dumps({**now, FILES: before | ids}, indent=1, ensure_ascii=False)
        draft.write_text(f"{text}\n", encoding="utf-8")
    return changed
