"""Atomic writes, JSON and YAML files, and file hashes."""

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
DIGITS = 6  # of numbers in JSON files; further digits differ between processors


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, which becomes `path` if nothing raises.

    If the process is killed at any moment, `path` is complete or absent.
    """
    with _drafts(path) as drafts:
        new = drafts / path.name
        new.mkdir()
        yield new
        if path.exists():
            path.rename(drafts / "old")  # one atomic step; deleting its files takes many
        new.rename(path)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which becomes `path` if nothing raises."""
    with _drafts(path) as drafts:
        new = drafts / path.name
        yield new
        new.replace(path)


@contextmanager
def _drafts(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`, after removing those of killed processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.draft"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(".draft", f".{path.name}.", path.parent) as drafts:
        yield Path(drafts)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON.

    Raises:
        ValueError: it contains NaN or infinity, which JSON can't express.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as draft:
        draft.write_text(text + "\n", encoding="utf-8")


def for_json(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return the numbers rounded to `DIGITS`, with None for NaN."""
    return {
        key: None if math.isnan(value) else round(value, DIGITS) for key, value in values.items()
    }


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None


def read_yaml(path: Path) -> Any:
    """Read a YAML file of the project, such as params.yaml.

    Raises:
        UserError: it is missing or not valid YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run this from the project's root") from None
    except RecursionError:
        raise UserError(f"{path} is not valid YAML: it is nested too deeply") from None
    # PyYAML raises any of these for malformed dates, numbers and tags.
    except (yaml.YAMLError, ValueError, AttributeError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]  # it may quote a megabyte of the file
        raise UserError(f"{path} is not valid YAML: {reason}") from None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def git_blob_id(path: Path) -> str:
    """Return the id that git gives the content of a file, in hexadecimal.

    It is the SHA-1 of "blob", the size in bytes, and the bytes.
    """
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_html(path: Path) -> bool:
    """Return whether a file begins like a web page.

    Many servers answer with a page, such as a login form, where a file was requested.
    """
    with path.open("rb") as file:
        start = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))
