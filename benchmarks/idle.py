"""Time of a `dvc repro` with nothing to do, compared with a project of two `echo` stages.

The second project has DVC's own config, the third this project's. All run in turns. Prints the
ratios of the medians: `make bench`.
"""

import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

REPEATS = 9
ECHO = """\
stages:
  first:
    cmd: echo first > first.txt
    deps: [params.yaml]
    outs: [first.txt]
  second:
    cmd: echo second > second.txt
    deps: [first.txt]
    outs: [second.txt]
"""


def repro(folder: Path) -> float:
    start = time.perf_counter()
    run = subprocess.run(["dvc", "repro"], cwd=folder, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    if "Running stage" in run.stdout:
        raise SystemExit(f"{folder} was not up to date: run `make repro` first")
    return seconds


def echo_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "dvc.yaml").write_text(ECHO)
    (folder / "params.yaml").write_text("seed: 1\n")
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"], ["dvc", "repro"]):
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        plain = echo_project(Path(temporary) / "plain")
        # This project's config turns analytics and the check for updates off, which saves time.
        same = echo_project(Path(temporary) / "same")
        shutil.copy(".dvc/config", same / ".dvc/config")
        sides = (Path.cwd(), plain, same)
        turns = [[repro(folder) for folder in sides] for _ in range(REPEATS)]
    ours, plain_echo, same_echo = (statistics.median(side) for side in zip(*turns, strict=True))
    print(f"dvc repro with nothing to do, medians of {REPEATS}; this project takes {ours:.2f} s")
    print(f"  {ours / plain_echo:.2f} times two echo stages under the config of `dvc init`")
    print(f"  {ours / same_echo:.2f} times two echo stages under this project's config")


if __name__ == "__main__":
    main()
