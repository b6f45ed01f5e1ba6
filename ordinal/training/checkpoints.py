"""Checkpoint files of a training run: complete, verified, and used by this very run only.

Each run has its own folder, named by a hash of everything that its result depends on. The name of a
checkpoint file is its optimiser step and the hash of its bytes.
"""

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from ordinal.common.files import sha256

KEPT = 2  # checkpoints per run
LIBRARIES = ("coral-pytorch", "lightning", "numpy", "torch", "torchmetrics", "transformers")


def run_key(settings: str, inputs: Iterable[Path]) -> str:
    """Hash of what the result of a run depends on: settings, input files, code and hardware.

    The code is that of all imported modules of this project, and the versions of the libraries. The
    hardware and the number of threads change the order in which floats are added.
    """
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    facts = {
        "settings": settings,
        "inputs": [[path.name, sha256(path)] for path in inputs],
        "code": {
            name: sha256(Path(file)) for name, file in files.items() if file and _is_ours(name)
        },
        "computed_by": computed_by(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _is_ours(module: str) -> bool:
    return module == "__main__" or module.partition(".")[0] in ("ordinal", "stages")


def computed_by() -> dict[str, object]:
    """The libraries and the hardware that the last bits of a result depend on."""
    gpu = torch.cuda.is_available()
    cpu = {"cpu": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()}
    return {
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "hardware": {"gpu": torch.cuda.get_device_name()} if gpu else cpu,
    }


def save_checkpoint(folder: Path, step: int, write: Callable[[Path], object]) -> None:
    """Let `write` write a checkpoint, rename it to its final name, and remove all but `KEPT`.

    The file has reached the disk when this returns, and never has its final name half-written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "draft"
    try:
        write(draft)
        _flush(draft)
        draft.rename(folder / f"{step:09d}-{sha256(draft)}")
    finally:
        draft.unlink(missing_ok=True)
    _flush(folder)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def find_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint whose bytes match its hash; damaged ones are removed."""
    for path in _newest_first(folder):
        if path.name.endswith(f"-{sha256(path)}"):
            return path
        print(
            f"train: the checkpoint of step {step_of(path)} is damaged and was removed", flush=True
        )
        path.unlink()
    return None


def step_of(checkpoint: Path) -> int:
    """Number of optimiser steps before a checkpoint."""
    return int(checkpoint.name.partition("-")[0])


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-*"), reverse=True)


def _flush(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
