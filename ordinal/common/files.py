"""Files that are whole or absent, and the hashes that identify them."""

import glob
import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ordinal.common.errors import UserError

BLOCK = 1 << 20  # bytes in memory at once
ROWS_PER_CHUNK = 10_000  # rows of a table in memory at once
DIGITS = 6  # as written: more would only show the last bits of one machine's arithmetic


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, beside `path`; it becomes `path` if nothing raises.

    Killed at any moment, it leaves `path` whole or absent.
    """
    with _drafts(path) as drafts:
        new = drafts / path.name
        new.mkdir()
        yield new
        if path.exists():
            path.rename(drafts / "old")  # in one piece; to delete it would take many
        new.rename(path)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it becomes `path` only if nothing raises."""
    with _drafts(path) as drafts:
        new = drafts / path.name
        yield new
        new.replace(path)


@contextmanager
def _drafts(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`. One that was left by a process killed goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.draft"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(".draft", f".{path.name}.", path.parent) as drafts:
        yield Path(drafts)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON; NaN is refused, since JSON has none."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def for_json(values: Mapping[str, float]) -> dict[str, float | None]:
    """Rounded to `DIGITS`, and null where a figure is not defined."""
    return {
        key: None if math.isnan(value) else round(value, DIGITS) for key, value in values.items()
    }


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is not valid.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None


def read_yaml(path: Path) -> Any:
    """Read a YAML file of the project's.

    Raises:
        UserError: it is missing or not valid.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run this from the project's root") from None
    except RecursionError:
        raise UserError(f"{path} is not valid YAML: it is nested too deeply") from None
    # Of what looks like a date, a number or a tag and is none, PyYAML fails in any of these ways.
    except (yaml.YAMLError, ValueError, AttributeError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]  # it may quote a word of a megabyte
        raise UserError(f"{path} is not valid YAML: {reason}") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def git_blob_id(path: Path) -> str:
    """The id git gives a file's content: SHA-1 of "blob", the size, and the bytes."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_html(path: Path) -> bool:
    """Whether a file is a web page, by its beginning: what many servers send for any other file."""
    with path.open("rb") as file:
        start = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))
