"""Checkpoint files: complete or absent, the last two, and those of this very run only."""

import errno
import importlib
import importlib.metadata
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ordinal.training import checkpoints
from ordinal.training.checkpoints import (
    find_checkpoint,
    run_key,
    save_checkpoint,
    step_of,
)
from tests.conftest import ROOT
from tests.imports import code_behind


def save(folder: Path, step: int) -> None:
    save_checkpoint(folder, step, lambda path: path.write_bytes(b"state %d" % step))


def test_the_last_two_are_kept_and_the_newest_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    assert find_checkpoint(folder) is None
    for step in (7, 9, 10, 1000):  # as numbers, not as text
        save(folder, step)
        found = find_checkpoint(folder)
        assert found is not None
        assert (step_of(found), found.read_bytes()) == (step, b"state %d" % step)
    assert [step_of(path) for path in sorted(folder.iterdir())] == [10, 1000]


def test_damaged_checkpoints_are_removed_so_that_they_do_not_count_as_kept(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    max(tmp_path.iterdir()).write_bytes(b"stat")
    found = find_checkpoint(tmp_path)
    assert found is not None
    assert step_of(found) == 1
    save(tmp_path, 2)
    assert [step_of(path) for path in sorted(tmp_path.iterdir())] == [1, 2]


def test_a_failed_write_leaves_the_checkpoints_before_it(tmp_path: Path) -> None:
    def fill_the_disk(path: Path) -> None:
        path.write_bytes(b"half a st")
        raise OSError(errno.ENOSPC, "No space left on device")

    save(tmp_path, 1)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, 2, fill_the_disk)
    assert [step_of(path) for path in tmp_path.iterdir()] == [1]


@pytest.mark.parametrize("moment", ["while it writes", "before the move", "after the move"])
def test_a_process_killed_while_saving_leaves_a_complete_checkpoint(
    moment: str, tmp_path: Path
) -> None:
    code = f"""
import os, pathlib, signal
from pathlib import Path
from ordinal.training import checkpoints

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def write(path):
    path.write_bytes(b"state")
    if dying and {moment!r} == "while it writes":
        die()

flush = checkpoints._flush
def flush_or_die(path):
    if dying and {moment!r} == ("after the move" if path.is_dir() else "before the move"):
        die()
    flush(path)

checkpoints._flush = flush_or_die
for step, dying in ((1, False), (2, True)):
    checkpoints.save_checkpoint(Path({str(tmp_path)!r}), step, write)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert run.returncode == -signal.SIGKILL
    found = find_checkpoint(tmp_path)
    assert found is not None
    assert (step_of(found), found.read_bytes()) == (1 + (moment == "after the move"), b"state")
    save(tmp_path, 3)  # the remains of the other do not matter
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_is_known_by_its_settings_inputs_code_libraries_and_hardware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [tmp_path / "train.parquet", tmp_path / "model.safetensors"]
    for path in inputs:
        path.write_bytes(b"content of " + path.name.encode())
    code = tmp_path / "losses.py"
    code.write_text("def loss(): ...")
    monkeypatch.setitem(sys.modules, "ordinal.model.made_up", SimpleNamespace(__file__=str(code)))
    keys = [run_key("lr 1", inputs)]
    assert run_key("lr 1", inputs) == keys[0]

    keys.append(run_key("lr 2", inputs))
    inputs[1].write_bytes(b"other weights")
    keys.append(run_key("lr 1", inputs))
    code.write_text("def loss(): return 0")
    keys.append(run_key("lr 1", inputs))
    version = importlib.metadata.version
    for changed in checkpoints.LIBRARIES:
        versions = {name: version(name) for name in checkpoints.LIBRARIES} | {changed: "99.0"}
        with monkeypatch.context() as patch:
            patch.setattr(importlib.metadata, "version", versions.__getitem__)
            keys.append(run_key("lr 1", inputs))
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: 64)
        keys.append(run_key("lr 1", inputs))
    assert len(set(keys)) == len(keys)

    (tmp_path / "elsewhere").mkdir()
    moved = [path.rename(tmp_path / "elsewhere" / path.name) for path in inputs]
    assert run_key("lr 1", moved) == keys[3]  # the folder of the inputs does not matter


def test_the_key_covers_each_package_that_the_train_stage_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    importlib.import_module("stages.train")
    hashed: list[Path] = []
    monkeypatch.setattr(checkpoints, "sha256", lambda path: hashed.append(path) or "hash")
    run_key("lr 1", [])
    for dependency in code_behind("train"):
        assert any(path.is_relative_to(ROOT / dependency) for path in hashed), dependency
