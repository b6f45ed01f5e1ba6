"""List the files to predict, and divide them into blocks of work."""

import glob
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from pathlib import PurePosixPath

from ordinal.common.errors import UserError
from ordinal.data.tables import KINDS
from ordinal.prediction.storage import files_of, is_folder, place, size_and_fingerprint
from ordinal.sources.data_files import is_url, shown

COMPRESSED = (".gz", ".zip", ".bz2", ".xz", ".zst")
SPLIT_SIZE = 8 << 20  # bytes of a file that are worth a block of their own


@dataclass(frozen=True)
class Input:
    """A file with texts."""

    name: str
    """Its path or URL."""
    size: int
    """In bytes."""
    id: str
    """Starts the names of its parts. It depends on the file's name and content."""


@dataclass(frozen=True)
class Block:
    """Every `step`-th part of a file, from part `first` on."""

    file: Input
    first: int = 0
    step: int = 1


def names_folder(out: str, names: Sequence[str]) -> bool:
    """Return whether `--out` is the name of a folder for the predictions of `names`."""
    suffix = PurePosixPath(out).suffix
    if is_url(out) or out.endswith("/"):
        return True
    if suffix in (".csv", ".jsonl", ".parquet"):
        return False
    # Unlike `Path.is_dir`, this never raises.
    is_folder_now = os.path.isdir(out)  # noqa: PTH112
    return is_folder_now or not suffix or any(map(_stands_for_many, names)) or len(names) > 1


def stand_for_files(names: Sequence[str]) -> bool:
    """Return whether all arguments are files, folders, patterns that match some, or URLs."""
    paths = [name for name in names if not is_url(name)]
    # Unlike those of pathlib, these functions accept texts of any length.
    return bool(names) and all(os.path.lexists(name) or _matches(name) for name in paths)


def _matches(pattern: str) -> list[str]:
    return glob.glob(pattern) if glob.has_magic(pattern) else []  # noqa: PTH207


def _stands_for_many(name: str) -> bool:
    return is_url(name) or glob.has_magic(name) or os.path.isdir(name)  # noqa: PTH112


def find_inputs(names: Iterable[str], out: str) -> list[Input]:
    """Return the files to predict, sorted by name, each once.

    Of a folder, these are the files with the ending of a table, except hidden ones.

    Args:
        names: Files, folders and patterns, each a path or a URL.
        out: The folder of the predictions, whose files are left out.

    Raises:
        UserError: there is no file of one of the names.
    """
    files: dict[str, str] = {}  # by their places, because a file may have several names
    for name in names:
        found = [file for file in files_of(name) if not _is_in(file, out)]
        if is_folder(name):
            found = [file for file in found if _is_table(file, name)]
        if not found:
            tables = f" with tables ({', '.join(KINDS)})" if is_folder(name) else ""
            raise UserError(f"{shown(name)}: there are no such files{tables}: check the name")
        for file in found:
            files.setdefault(place(file), file)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_input, sorted(files.values())))


def _is_in(file: str, folder: str) -> bool:
    return PurePosixPath(place(file)).is_relative_to(PurePosixPath(place(folder)))


def _is_table(file: str, folder: str) -> bool:
    path = PurePosixPath(file).relative_to(PurePosixPath(folder))
    name = PurePosixPath(path.name.lower())
    ending = PurePosixPath(name.stem).suffix if name.suffix in COMPRESSED else name.suffix
    return ending[1:] in KINDS and not any(part.startswith((".", "_")) for part in path.parts)


def _input(name: str) -> Input:
    size, fingerprint = size_and_fingerprint(name)
    digest = sha256(f"{name}\n{fingerprint}".encode()).hexdigest()
    # Readers of Parquet folders ignore files whose names start with _ or a dot.
    start = re.sub(r"[^\w.-]", "_", PurePosixPath(name).name.partition(".")[0])[:40].lstrip("_.")
    return Input(name, size, f"{start or 'file'}-{digest[:12]}")


def divide(files: Sequence[Input], workers: int) -> list[Block]:
    """Return the blocks of files, so that no block is much larger than a worker's share.

    The blocks of a large file each read the whole of it, which takes little time next to the
    prediction, and predict some of its parts.
    """
    total = sum(file.size for file in files)
    blocks = []
    for file in files:
        fair = ceil(workers * file.size / total) if total else 1
        step = max(1, min(fair, file.size // SPLIT_SIZE))
        blocks += [Block(file, first, step) for first in range(step)]
    return blocks
