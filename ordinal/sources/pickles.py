"""Read weights that are published as pickles, without running code that a pickle may contain."""

import pickle
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ordinal.common.errors import one_line
from ordinal.sources.shards import files_in_index

if TYPE_CHECKING:
    from torch import Tensor

PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
PICKLE_SHARD = re.compile(r"\w[\w.-]*\.bin")


def pickles_of(folder: Path) -> list[str]:
    """Return the files of a folder's pickled weights: one, the shards of an index, or none.

    Raises:
        ValueError: the index is not valid.
    """
    if (folder / PICKLE).is_file() or not (folder / PICKLE_INDEX).is_file():
        return [PICKLE] if (folder / PICKLE).is_file() else []
    return sorted(set(files_in_index(folder / PICKLE_INDEX, PICKLE_SHARD).values()))


def read_pickles(folder: Path) -> "dict[str, Tensor]":
    """Return the weights of a folder's pickles, by name, without duplicates.

    Raises:
        ValueError: a file is missing or damaged, would run code, or contains anything but weights.
    """
    weights: dict[str, Tensor] = {}
    for name in pickles_of(folder):
        if not (folder / name).is_file():
            raise ValueError(f"its {name} is missing")
        weights |= _read(folder / name)
    return _without_duplicates(weights)


def _read(path: Path) -> "dict[str, Tensor]":
    # Not at the top, because torch takes seconds.
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # of a protocol that torch does not write
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_refusal(path.name, str(error))) from None
    except Exception as error:  # noqa: BLE001, torch raises nothing narrower for a damaged file
        raise ValueError(f"its {path.name} is damaged ({one_line(error)})") from None
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(weight, torch.Tensor)
        for name, weight in content.items()
    ):
        raise ValueError(f"its {path.name} contains more than weights by name")
    return dict(content)


def _refusal(name: str, error: str) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", error)
    calls = f"calls {found[1]}" if found else "contains more than weights"
    return (
        f"its {name} is damaged, or a pickle that {calls}, and no code of an encoder is ever run: "
        "ask its authors for safetensors"
    )


def _without_duplicates(weights: "dict[str, Tensor]") -> "dict[str, Tensor]":
    """Drop names of weights that are there already, and copy weights that overlap.

    Tied weights, such as those of an embedding and of the head that predicts words, are one tensor
    with two names. A file of safetensors can't express that, and transformers ties them again.
    """
    seen: set[tuple[object, ...]] = set()
    kept: dict[str, Tensor] = {}
    for name, weight in weights.items():
        place = (weight.data_ptr(), weight.shape, weight.stride(), weight.dtype)
        if weight.numel() and place in seen:
            continue
        seen.add(place)
        kept[name] = weight.clone().contiguous()
    return kept
