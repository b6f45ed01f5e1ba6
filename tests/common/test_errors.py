"""Exit statuses and messages of commands that fail or are stopped."""

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

STOPPED = "stopped: run it again to continue where it stopped\n"
FULL = "error: the disk is full: free some space, then run it again to continue where it stopped\n"


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), **pipes)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_command_says_how_to_continue(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    code = f"""
import time
from ordinal.common.errors import report_user_errors
from ordinal.common.files import Path, atomic_folder

with report_user_errors(), atomic_folder(Path({str(tmp_path / "out")!r})):
    print("working", flush=True)
    time.sleep(60)
"""
    process = run(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    assert process.communicate()[1] == STOPPED
    assert process.returncode == status
    assert list(tmp_path.iterdir()) == []


def test_a_stage_stopped_while_importing_ends_without_a_traceback() -> None:
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
    assert process.returncode == -signal.SIGINT  # 130 in a shell


TEXTS = Path("texts.parquet")
ROOM = 1 << 16  # maximum bytes per file
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
    """Limit the size of a file, in place of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_reported_on_one_line_and_leaves_no_partial_file(
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


def test_a_bug_keeps_its_traceback() -> None:
    code = """
from ordinal.common.errors import report_user_errors
with report_user_errors():
    [][0]
"""
    process = run(code)
    assert "IndexError" in process.communicate()[1]
    assert process.returncode == 1


RAISE = """
import errno, sys
from ordinal.common.errors import UserError, report_user_errors
with report_user_errors():
    {statement}
"""


@pytest.mark.parametrize(
    ("statement", "arguments", "message"),
    [
        ("raise UserError('two\\nlines')", (), "two\\nlines"),
        ("raise PermissionError(errno.EACCES, 'Permission denied', 'a/b')", (), "a/b: Permission"),
        ("raise OSError(errno.EMFILE, 'Too many open files')", (), "Too many open files"),
        ("raise OSError(errno.EROFS, 'Read-only file system', 'a')", (), "a: Read-only file"),
        ("open('/nowhere/at/all')", ("/nowhere/at/all",), "/nowhere/at/all: No such file"),
        ("open('nowhere/at/all')", ("--out", "nowhere/"), "nowhere/at/all: No such file"),
        ("open('README.md/a.csv', 'w')", ("README.md/a.csv",), "README.md/a.csv: Not a directory"),
        ("open('README.md/a')", ("README.md/a/b",), "README.md/a: Not a directory"),
    ],
)
def test_what_the_operating_system_refuses_is_reported_on_one_line(
    statement: str, arguments: tuple[str, ...], message: str
) -> None:
    process = run(RAISE.format(statement=statement), *arguments)
    lines = process.communicate()[1].splitlines()
    assert process.returncode == 1
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("statement", "arguments", "kind"),
    [
        ("open('/nowhere/at/all')", (), "FileNotFoundError"),
        ("open('data/raw/revews.parquet')", ("data/own/mine.csv",), "FileNotFoundError"),
        ("open('nowhere')", (".",), "FileNotFoundError"),
        ("open('.')", ("a",), "IsADirectoryError"),
        ("raise OSError('a library calls everything an OSError')", (), "OSError"),
        ("raise OSError(errno.EBADF, 'Bad file descriptor')", (), "OSError"),
        ("raise OSError(errno.EINVAL, 'Invalid argument', 'a')", ("a",), "OSError"),
        ("raise ConnectionRefusedError(errno.ECONNREFUSED, 'refused')", (), "ConnectionRefused"),
        ("raise ValueError from OSError(errno.EACCES, 'Permission denied')", (), "ValueError"),
    ],
)
def test_an_os_error_that_this_program_caused_keeps_its_traceback(
    statement: str, arguments: tuple[str, ...], kind: str
) -> None:
    process = run(RAISE.format(statement=statement), *arguments)
    error = process.communicate()[1]
    assert process.returncode == 1
    assert "Traceback" in error
    assert kind in error.splitlines()[-1]


@pytest.mark.parametrize(
    "statement",
    [
        "raise UserError('a mistake')",
        "raise OSError(errno.ENOSPC, 'No space left on device')",
        "raise PermissionError(errno.EACCES, 'Permission denied', 'a/b')",
    ],
)
def test_debugging_shows_every_traceback(statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDINAL_DEBUG", "1")
    process = run(RAISE.format(statement=statement))
    assert "Traceback" in process.communicate()[1]
    assert process.returncode == 1
