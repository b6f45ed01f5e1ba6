"""Measure training and prediction on a GPU, one step after the other.

`python -m benchmarks.gpu --out FOLDER --encoder FOLDER` prints lines, and writes a JSON file per
step. Each step has its own process and a time limit; if it fails, its file contains the error and
the next step starts. Nothing is downloaded, and the installed versions are reported. Without a GPU
all steps run at tiny sizes, as a rehearsal.
"""

import argparse
import importlib
import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from benchmarks.clock import matrix_rate
from benchmarks.gpu.record import TINY, Record, Sizes, rehearsal
from benchmarks.gpu.shape import save_shape
from benchmarks.growth import ROOT, stage_environment
from ordinal.common.files import read_json
from ordinal.training.checkpoints import LIBRARIES


@dataclass(frozen=True)
class Step:
    """A measurement: a function of a module, which takes the sizes and a record."""

    title: str
    module: str
    function: str
    limit: int
    """Seconds after which it is stopped."""


STEPS = {
    1: Step("the default recipe", "recipe", "run", 150),
    2: Step("training speed", "speed", "run", 320),
    3: Step("share of the matrix rate", "speed", "share", 90),
    4: Step("the train stage", "stage", "run", 180),
    5: Step("prediction", "prediction", "run", 120),
    6: Step("cost of coral_pytorch's CORN", "corn", "run", 60),
    7: Step("torch.compile", "compilation", "run", 150),
    9: Step("kill and resume", "stage", "resume", 150),
    10: Step("memory of a large encoder", "memory", "run", 90),
}
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and hardware."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    for name in (*LIBRARIES, "accelerate", "datasets", "triton"):
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = None
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
        facts["cuda"] = torch.version.cuda
        facts["driver"] = _driver()
        facts["bf16 TFLOP/s"] = round(matrix_rate(device, torch.bfloat16) / 1e12, 1)
        facts["fp32 TFLOP/s"] = round(matrix_rate(device, torch.float32) / 1e12, 1)
    return facts


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def sizes_for(encoder: Path, shape: Path) -> Sizes:
    if torch.cuda.is_available():
        return Sizes(torch.device("cuda"), encoder, shape)
    return rehearsal(torch.device("cpu"), encoder, shape)


def run_step(number: int, sizes: Sizes, record: Record) -> bool:
    """Run a step in this process; write its error, if it fails, and return whether it did not."""
    start = time.perf_counter()
    try:
        # Imported here, because a step that lacks a package shall not stop the others.
        module = importlib.import_module(f"benchmarks.gpu.{STEPS[number].module}")
        getattr(module, STEPS[number].function)(sizes, record)
    except Exception as error:  # noqa: BLE001, the next step shall run all the same
        trace = traceback.format_exc()
        print(trace, flush=True)
        record.add(f"failed: {error!r}", error=repr(error), traceback=trace)
        return False
    seconds = time.perf_counter() - start
    record.add(f"took {seconds:.0f} s", seconds=seconds)
    return True


def run_apart(number: int, options: Sequence[str], limit: int) -> str | None:
    """Run a step in its own process; return an error, or None."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu", "--steps", str(number), "--here", *options],
        cwd=ROOT,
        env=stage_environment() | QUIET,
        start_new_session=True,
    )
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"stopped after {limit} s"
    return f"exit status {code}" if code else None


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("logs/gpu"), help="folder of the results")
    parser.add_argument(
        "--encoder", type=Path, default=ROOT / "data/pretrained", help="a pretrained encoder"
    )
    parser.add_argument("--steps", default=",".join(map(str, STEPS)), help="such as 1,2,5")
    parser.add_argument("--shape", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    out, encoder = options.out.resolve(), options.encoder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    numbers = [int(number) for number in options.steps.split(",")]
    if options.here:
        (number,) = numbers
        path = out / f"step-{number}.json"
        record = Record(path, read_json(path))
        raise SystemExit(not run_step(number, sizes_for(encoder, options.shape), record))
    logging.disable_progress_bar()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    facts = environment(device)
    print(*(f"{name} {fact}" for name, fact in facts.items()), sep=", ", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        shape = Path(folder)
        save_shape(encoder, shape, **({} if device.type == "cuda" else TINY))
        given = ("--out", str(out), "--encoder", str(encoder), "--shape", str(shape))
        for number in numbers:
            step = STEPS[number]
            print(f"step {number}: {step.title}", flush=True)
            path = out / f"step-{number}.json"
            Record(path, {"step": number, "title": step.title, "environment": facts}).save()
            if error := run_apart(number, given, step.limit):
                Record(path, {"error": error} | read_json(path)).add(f"step {number}: {error}")


if __name__ == "__main__":
    main()
