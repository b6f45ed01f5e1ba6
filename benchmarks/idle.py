"""What a `dvc repro` with nothing to do costs here, against one of two `echo` stages.

Both sides run in turns in one process; prints medians and their ratio: `make bench`.
"""

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


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        echo, ours = Path(temporary), Path.cwd()
        (echo / "dvc.yaml").write_text(ECHO)
        (echo / "params.yaml").write_text("seed: 1\n")
        for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"], ["dvc", "repro"]):
            subprocess.run(command, cwd=echo, capture_output=True, check=True)
        pairs = [(repro(echo), repro(ours)) for _ in range(REPEATS)]
    theirs_median, ours_median = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"dvc repro with nothing to do, median of {REPEATS}:")
    print(f"  ratio            {ours_median / theirs_median:.2f}")
    print(f"  this project     {ours_median:.2f} s")
    print(f"  two echo stages  {theirs_median:.2f} s")


if __name__ == "__main__":
    main()
