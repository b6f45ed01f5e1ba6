"""DVC's cache, hashed anew: DVC itself trusts what it has once written there."""

import hashlib
import os
import re
import shutil
from pathlib import Path

from tqdm import tqdm

from ordinal.errors import UserError
from ordinal.files import BLOCK

ASIDE = "damaged"  # a folder in .dvc/tmp


def put_damaged_aside() -> tuple[int, list[Path]]:
    """Take from the cache of this folder's project what is not what its name says.

    DVC then finds it missing: `dvc repro` makes it anew, `dvc pull` fetches it.

    Returns the number of objects, and where the damaged ones now lie.

    Raises:
        UserError: this is no DVC project, or another command is at work in it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo, repo.lock:
            aside = Path(repo.tmp_dir) / ASIDE
            objects = _objects(Path(repo.cache.local.path))
            # disable=None: no bar where there is no terminal.
            bar = tqdm(objects.items(), desc="verify", unit="object", disable=None)
            damaged = {name: path for name, path in bar if _md5(path) != name[:32]}
            for name, path in damaged.items():
                aside.mkdir(exist_ok=True)
                shutil.move(path, aside / name)
            if damaged:
                _forget_hashes([Path(out.fs_path) for out in repo.index.outs])
    except DvcException as error:
        raise UserError(" ".join(str(error).split())) from None
    return len(objects), [aside / name for name in damaged]


def _objects(cache: Path) -> dict[str, Path]:
    """Path of each object by its name: an MD5, and ".dir" if it lists a folder."""
    found = {path.parent.name + path.name: path for path in sorted(cache.glob("??/*"))}
    return {
        name: path for name, path in found.items() if re.fullmatch(r"[0-9a-f]{32}(\.dir)?", name)
    }


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _forget_hashes(outs: list[Path]) -> None:
    """Touch files that may be copies of what is damaged: DVC knows a file's hash by its time."""
    for out in outs:
        for path in (out, *out.rglob("*")):
            if path.is_file():
                os.utime(path)
