"""Bring the files of an encoder into a folder as they were published, whatever their format."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import read_json
from ordinal.sources.catalog import HubSource
from ordinal.sources.download import SourceError, no_source
from ordinal.sources.encoder_hub import from_hub
from ordinal.sources.hub import model_at
from ordinal.sources.pickles import PICKLE, PICKLE_INDEX, pickles_of
from ordinal.sources.shards import INDEX, WEIGHTS, shards_of

NAME = re.compile(r"[\w.-]+/[\w.-]+")
CONFIG = "config.json"
# Files that a tokenizer may be read from. None of them is a program.
TOKENIZER = re.compile(
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|"
    r"vocab\.txt|vocab\.json|merges\.txt|[\w.-]+\.model"
)


@dataclass(frozen=True)
class Published:
    """The source of an encoder, and its licence if the hub states one."""

    name: str
    source: HubSource | None
    licence: str | None


def bring_encoder(name: str, revision: str | None, folder: Path) -> Published:
    """Copy the files of a local folder, or of a repository of the hub at a commit, into `folder`.

    Without a revision, the commit is the newest.

    Raises:
        UserError: there is no such folder or repository, or it lacks a config or weights.
    """
    if Path(name).is_dir():
        if revision:
            raise UserError(f"{name} is a local folder, which has no commits: leave out --revision")
        _copy(Path(name), folder)
        return Published(Path(name).resolve().name, None, None)
    if not NAME.fullmatch(name):
        raise UserError(
            f"{quoted(name)} is neither a folder nor a name on the model hub, OWNER/NAME"
        )
    try:
        model = model_at(name, revision)
        source = HubSource(hub=name, revision=model.commit)
        _download(source, model.checksums, folder)
    except SourceError as failure:
        raise no_source(f"encoder {quoted(name)}", [failure], "name a local folder") from None
    return Published(name, source, model.licence)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object of an encoder.

    Raises:
        ValueError: it is not one, or it names code to run.
    """
    try:
        content = read_json(path)
    except UserError:
        raise ValueError(f"its {path.name} is not JSON") from None
    if not isinstance(content, dict):
        raise ValueError(f"its {path.name} is not a JSON object")
    if "auto_map" in content:
        raise ValueError(f"its {path.name} requires custom code (auto_map), which is never run")
    return content


def _copy(source: Path, folder: Path) -> None:
    present = {path.name for path in source.iterdir() if path.is_file()}
    for file in _small_files(present):
        shutil.copyfile(source / file, folder / file)
    for file in _weights(present, folder, str(source)):
        if file not in present:
            raise UserError(f"encoder {source} lacks {file}, which its index lists")
        shutil.copyfile(source / file, folder / file)


def _download(source: HubSource, checksums: dict[str, str], folder: Path) -> None:
    present = set(checksums)
    from_hub(source, {file: checksums[file] for file in _small_files(present)}, folder)
    weights = _weights(present, folder, source.hub)
    if missing := [file for file in weights if file not in present]:
        raise SourceError(f"it has no {missing[0]}, which its index lists", "use another commit")
    from_hub(source, {file: checksums[file] for file in weights}, folder)


def _small_files(present: set[str]) -> list[str]:
    """Return the files to fetch before the weights: the index, if any, says which these are."""
    names = {CONFIG}
    if WEIGHTS not in present:
        names.add(INDEX)
        if INDEX not in present and PICKLE not in present:
            names.add(PICKLE_INDEX)
    return sorted(name for name in present if name in names or TOKENIZER.fullmatch(name))


def _weights(present: set[str], folder: Path, name: str) -> list[str]:
    """Return the files of the weights: safetensors if there are any, else pickles."""
    if CONFIG not in present:
        raise UserError(f"encoder {name} lacks {CONFIG}: it is no model of transformers")
    try:
        if WEIGHTS in present:
            return [WEIGHTS]
        if INDEX in present:
            return sorted(set(shards_of(folder / INDEX).values()))
        if PICKLE in present:
            return [PICKLE]
        if PICKLE_INDEX in present:
            return pickles_of(folder)
    except ValueError as error:
        raise UserError(f"encoder {name} can't be used: {error}") from None
    raise UserError(f"encoder {name} has no weights for torch: neither {WEIGHTS} nor {PICKLE}")
