"""The record of what a folder of predictions was made from, so that no results are mixed."""

import json
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from ordinal.common.errors import UserError
from ordinal.common.files import sha256 as checksum
from ordinal.distributions.conformal import IntervalRule
from ordinal.prediction.blocks import Input
from ordinal.prediction.parts import BAD_ROWS, PART, ROWS_PER_PART, Options
from ordinal.prediction.storage import files_below, join, read_text, remove, written_whole

MANIFEST = "_manifest.json"
FILES = "files"
NAMES = {
    "model": "model",
    "coverage": "--coverage",
    "coverage_by": "--coverage-by",
    "interval": "--interval",
    "abstain_above": "--abstain-above",
    "precise": "model for --precise",
    "text": "--text",
    "keep": "--keep",
    "format": "--format",
    "columns": "list of columns",
    "rows_per_part": "version of this program",
}
"""The settings that all runs into a folder have in common, and their names in messages."""


def settings(
    model: Path, precise: Path | None, options: Options, columns: pa.Schema
) -> dict[str, Any]:
    """Return what the predictions depend on, apart from the files."""
    return {
        "model": model_checksum(model),
        **asdict(options.interval_rule),
        "abstain_above": options.abstain_above,
        "precise": precise and model_checksum(precise),
        "text": [*options.text],
        "keep": [*options.keep],
        "format": options.format.fixed(),
        "columns": {column.name: str(column.type) for column in columns},
        "rows_per_part": ROWS_PER_PART,
    }


def model_checksum(model: Path) -> str:
    """Return the SHA-256 of the content of a model."""
    lines = [f"{checksum(path)} {name}" for name, path in model_files(model).items()]
    return sha256("\n".join(lines).encode()).hexdigest()


def model_files(model: Path) -> dict[str, Path]:
    """Return the files of a model by their paths in its folder; the path of a file is empty."""
    if model.is_file():
        return {"": model}
    paths = sorted(path for path in model.rglob("*") if path.is_file())
    return {path.relative_to(model).as_posix(): path for path in paths}


def read_manifest(out: str) -> dict[str, Any]:
    """Return the manifest of a folder of predictions, or {} if it has no predictions yet.

    Raises:
        UserError: the folder has other files, or its manifest is damaged.
    """
    text, files = read_text(join(out, MANIFEST)), files_below(out)
    if text is None and files:
        raise UserError(f"--out {out} has other files: choose an empty or a new folder")
    if text is None or not any(map(_file_of, files)):
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
    ids = {file.name: file.id for file in files}
    predicted = {_file_of(name) for name in files_below(out)}
    # A file without parts, such as one that can't be read, may be left out later.
    before = {
        name: id_
        for name, id_ in manifest.get(FILES, {}).items()
        if name in ids or id_ in predicted
    }
    _refuse_mixing(out, manifest, now, before.keys() - ids.keys())
    changed = [name for name, id_ in before.items() if ids[name] != id_]
    remove_parts(out, {before[name] for name in changed})
    with written_whole(join(out, MANIFEST)) as draft:
        text = json.dumps({**now, FILES: before | ids}, indent=1, ensure_ascii=False)
        draft.write_text(f"{text}\n", encoding="utf-8")
    return changed


def _refuse_mixing(
    out: str, manifest: Mapping[str, Any], now: Mapping[str, Any], gone: Collection[str]
) -> None:
    """Pass if the settings are those of the manifest, and none of its files is `gone`."""
    before = {**asdict(IntervalRule()), **manifest}  # a manifest of an earlier version has fewer
    for key, value in now.items():
        if manifest and before.get(key) != value:
            raise UserError(
                f"--out {out} has predictions with another {NAMES[key]}: choose another folder, "
                "or delete this one"
            )
    if gone:
        raise UserError(
            f"--out {out} has predictions of {min(gone)}, which is not among the files now: name "
            "it, too, or choose another folder"
        )


def remove_parts(out: str, ids: Container[str | None]) -> None:
    """Remove the predictions and the bad rows of files."""
    for name in files_below(out):
        if _file_of(name) in ids:
            remove(join(out, name))


def _file_of(part: str) -> str | None:
    """Return the id of the file of which a part has predictions or bad rows, or None."""
    found = PART.fullmatch(part.removeprefix(f"{BAD_ROWS}/"))
    return found[1] if found else None
