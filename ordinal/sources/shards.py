"""Weights that are published in several files, which an index lists."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"\w[\w.-]*\.safetensors")


def shards_of(index: Path) -> dict[str, str]:
    """Return the file of each weight, from the index.

    Raises:
        ValueError: the index is not valid, or a file is not in the folder of the index.
    """
    return files_in_index(index, SHARD)


def files_in_index(index: Path, name: re.Pattern[str]) -> dict[str, str]:
    """Return the file of each weight, from an index whose files have names of this pattern.

    Raises:
        ValueError: the index is not valid, or a file is not in the folder of the index.
    """
    try:
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = set(files.values())
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(f"its {index.name} is not an index with a weight_map") from None
    for file in names:
        if not isinstance(file, str) or not name.fullmatch(file):
            raise ValueError(
                f"its {index.name} lists {file!r}, which is not a name of a weights file"
            )
    return dict(files)


def merge_shards(folder: Path) -> None:
    """Replace the index and its files in a folder by one `model.safetensors`.

    Raises:
        ValueError: the index is not valid, or a file or a weight is missing or damaged.
    """
    # Not at the top, because torch takes seconds. numpy can't represent bfloat16.
    from safetensors.torch import load_file, save_file

    files = shards_of(folder / INDEX)
    weights: dict[str, Tensor] = {}
    for name in sorted(set(files.values())):
        if not (folder / name).is_file():
            raise ValueError(f"its {INDEX} lists {name}, which is missing")
        try:
            weights |= load_file(folder / name)
        except SafetensorError as error:
            raise ValueError(f"its {name} is damaged ({error})") from None
    if missing := files.keys() - weights.keys():
        raise ValueError(f"its files of weights lack {min(missing)}, which {INDEX} lists")
    for name in (INDEX, *set(files.values())):
        (folder / name).unlink()
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
