"""How a command ends: one line that says what to do, and never status 0 for what was not done."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file
from ordinal.tokenization.tokens import tokenize
from ordinal.training.trainer import DirectIO
from tests.conftest import ROOT, environment

STOPPED = "stopped: run it again, and it goes on from what is done\n"
FULL = "error: the disk is full: make room, then run it again, and it goes on from what is done\n"


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), **pipes)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_says_so_and_how_to_go_on(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    code = f"""
import time
from ordinal.common.errors import report_user_errors
from ordinal.common.files import Path, atomic_folder

with report_user_errors(), atomic_folder(Path({str(tmp_path / "out")!r})):
    print("at work", flush=True)
    time.sleep(60)
"""
    process = run(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    process.send_signal(number)
    assert process.communicate()[1] == STOPPED
    assert process.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_still_imports_ends_at_once_without_a_traceback() -> None:
    code = """
import runpy, sys, threading, time, os, signal
class Pause:
    def find_spec(self, name, path, target=None):
        if name == "pandas":
            print("importing", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Pause())
sys.argv[0] = "-m"
runpy.run_module("stages.baseline", run_name="__main__", alter_sys=True)
"""
    process = run(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == ""
    assert process.returncode == -signal.SIGINT  # which a shell calls 130


TEXTS = Path("texts.parquet")
ROOM = 1 << 16  # bytes that a file may have
WRITERS: dict[str, Callable[[Path], object]] = {
    "a file": lambda path: path.write_bytes(bytes(1 << 20)),
    "a table": lambda path: pd.DataFrame(
        {"a": np.random.default_rng(0).random(1 << 17)}
    ).to_parquet(path),
    "weights": lambda path: save_file({"a": torch.zeros(1 << 18)}, path),
    "a checkpoint": lambda path: DirectIO().save_checkpoint({"a": torch.zeros(1 << 18)}, path),
    "tokens": lambda path: tokenize(TEXTS, Tokenizer(WordLevel({"?": 0}, "?")), path),
}


@contextmanager
def little_room() -> Iterator[None]:
    """The limit of a file's size stands in for the end of the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_clear_line_and_nothing_half_written(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"text": ["a" * 1000] * 20000, "label": 1}).to_parquet(TEXTS)
    with (
        pytest.raises(SystemExit, check=lambda end: end.code == 1),
        little_room(),
        report_user_errors(),
        atomic_file(tmp_path / "out") as path,
    ):
        WRITERS[kind](path)
    assert capsys.readouterr().err == FULL
    assert [path.name for path in tmp_path.iterdir()] == [TEXTS.name]


def test_other_errors_are_not_hidden() -> None:
    code = """
from ordinal.common.errors import report_user_errors
with report_user_errors():
    [][0]
"""
    process = run(code)
    assert "IndexError" in process.communicate()[1]
    assert process.returncode == 1


def test_what_the_operating_system_refuses_is_one_clear_line() -> None:
    code = """
from ordinal.common.errors import report_user_errors
with report_user_errors():
    open("/nowhere/at/all")
"""
    process = run(code)
    assert process.communicate()[1] == "error: /nowhere/at/all: No such file or directory\n"
    assert process.returncode == 1
