"""Atomic writes: complete or absent, whenever the process is killed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ordinal.common.files import atomic_file, atomic_folder, write_json
from tests.conftest import ROOT


def write_folder(path: Path, content: str) -> None:
    with atomic_folder(path) as folder:
        for number in range(3):
            (folder / str(number)).write_text(content)


def content_of(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.iterdir())]


def test_a_folder_is_replaced_as_a_whole_and_leaves_no_temporary_files(tmp_path: Path) -> None:
    for content in ("old", "new"):
        write_folder(tmp_path / "deep/raw", content)
        assert content_of(tmp_path / "deep/raw") == [content] * 3
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["raw"]
    assert (tmp_path / "deep/raw").stat().st_mode & 0o777 == 0o755


def test_an_error_keeps_the_old_content(tmp_path: Path) -> None:
    write_folder(tmp_path / "raw", "old")
    write_json(tmp_path / "facts.json", {"rows": 1})
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "raw") as folder:
        (folder / "0").write_text(f"{1 / 0}")
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "facts.json", {"rows": float("nan")})
    assert content_of(tmp_path / "raw") == ["old"] * 3
    assert (tmp_path / "facts.json").read_text() == '{\n  "rows": 1\n}\n'
    assert len(list(tmp_path.iterdir())) == 2


KILLED_AT = """
import os, signal, sys
from ordinal.common.files import Path, atomic_file, atomic_folder

kind, out, moment = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

def watch(event, arguments):
    global moment
    if event.startswith(("open", "os.", "shutil.")) and str(out.parent) in str(arguments):
        moment -= 1
        if moment < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
if kind == "folder":
    with atomic_folder(out) as folder:
        for number in range(3):
            (folder / str(number)).write_text("new")
else:
    with atomic_file(out) as file:
        file.write_text("new")
"""


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_output_is_complete_or_absent_whenever_the_process_is_killed(
    kind: str, there: bool, tmp_path: Path
) -> None:
    """Kill the process before its first operation on the file system, its second, … its last."""
    out = tmp_path / "raw"

    def make(content: str) -> None:
        if kind == "folder":
            write_folder(out, content)
        else:
            with atomic_file(out) as file:
                file.write_text(content)

    seen = []
    status = -signal.SIGKILL
    while status == -signal.SIGKILL:
        if there:
            make("old")
        command = [sys.executable, "-c", KILLED_AT, kind, str(out), str(len(seen))]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        found = content_of(out) if out.is_dir() else [out.read_text()] if out.exists() else []
        assert len(found) in (0, 3 if kind == "folder" else 1)
        seen.append(found[0] if found else "absent")
        assert set(found) <= {seen[-1]}
        make("next")  # removes what the killed process left
        assert list(tmp_path.iterdir()) == [out]
        out.rename(tmp_path.parent / f"{kind}-{there}-{len(seen)}")
    assert status == 0
    states = ["old", "absent", "new"] if there and kind == "folder" else ["old", "new"]
    if not there:
        states = ["absent", "new"]
    assert list(dict.fromkeys(seen)) == states


def test_temporary_folders_of_other_outputs_are_kept(tmp_path: Path) -> None:
    (tmp_path / ".raw-like.abc.draft").mkdir()
    (tmp_path / ".rawer.abc.draft").mkdir()
    (tmp_path / ".raw.abc.draft").mkdir()
    write_folder(tmp_path / "raw", "new")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"raw", ".raw-like.abc.draft", ".rawer.abc.draft"}
