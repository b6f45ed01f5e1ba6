"""Steps 4 and 9: the train stage as a process, timed, and killed and resumed."""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file

from benchmarks.gpu.record import Record, Sizes
from benchmarks.growth import stage_environment
from benchmarks.stage import new_training
from ordinal.common.files import sha256

TRAIN = ("-m", "stages.train")
IMPORTS = ("-c", "import stages.train, ordinal.training.fine_tuning")


def run(sizes: Sizes, record: Record) -> None:
    """Time the train stage, from the start of its process to the model on disk."""
    for _ in range(2):  # the first time, the files may come from a disk
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            process = _start(Path(folder), IMPORTS)
            process.communicate()
        imports = time.perf_counter() - start
    record.add(f"a process that only imports the stage takes {imports:.1f} s", imports=imports)
    for name, encoder in (("DistilBERT's shape", sizes.shape), ("encoder", sizes.encoder)):
        with tempfile.TemporaryDirectory() as folder:
            _prepare(Path(folder), sizes, encoder, sizes.stage_rows)
            start = time.perf_counter()
            process = _start(Path(folder), TRAIN)
            assert process.stdout
            lines = [
                (round(time.perf_counter() - start, 2), line.rstrip()) for line in process.stdout
            ]
            code = process.wait()
            seconds = time.perf_counter() - start
        for moment, line in lines:
            print(f"    {moment:6.2f} s {line}", flush=True)
        if code:
            raise RuntimeError(f"the train stage failed: {lines[-1:]}")
        record.add(
            f"train stage, {name}, 3 epochs over {sizes.stage_rows} texts: {seconds:.1f} s",
            **{f"seconds, {name}": seconds, f"output, {name}": lines},
        )


def resume(sizes: Sizes, record: Record) -> None:
    """Compare the bytes of two undisturbed runs with each other and with a killed and resumed run.

    All three run at the same time.
    """
    names = ("first", "second", "killed")
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in names}
        for folder in folders.values():
            folder.mkdir()
            every = sizes.resume_every
            _prepare(folder, sizes, sizes.encoder, sizes.resume_rows, checkpoint_every=every)
        processes = {name: _start(folder, TRAIN) for name, folder in folders.items()}
        killed = _kill(processes["killed"], folders["killed"], sizes.resume_pause)
        record.add(f"a run was killed: {killed}", killed=killed)
        processes["killed"] = _start(folders["killed"], TRAIN)
        outputs = {name: process.communicate()[0] for name, process in processes.items()}
        record.add("all runs ended", outputs=outputs)
        if any(process.returncode for process in processes.values()):
            raise RuntimeError(f"a run failed: {outputs}")
        resumed = [line for line in outputs["killed"].splitlines() if "resumes" in line]
        for one, other in (("first", "second"), ("first", "killed")):
            differences = compare(folders[one], folders[other])
            record.add(
                f"{one} and {other}: {differences or 'the same bytes'}",
                **{f"{one} and {other}": differences},
            )
        record.add(f"the second start said: {resumed}", resumed=resumed)


def compare(one: Path, other: Path) -> dict[str, str]:
    """Describe how the files of two runs differ; empty if they have the same bytes."""
    found = {}
    for file in sorted([*one.glob("models/ordinal/*"), *one.glob("metrics/plots/*")]):
        there = other / file.relative_to(one)
        if sha256(file) != sha256(there):
            found[file.name] = _tensors(file, there) if file.suffix == ".safetensors" else "differs"
    return found


def _tensors(one: Path, other: Path) -> str:
    weights, others = load_file(one), load_file(other)
    apart = {name: (weights[name] - others[name]).abs().max().item() for name in weights}
    different = sum(value > 0 for value in apart.values())
    return f"{different} of {len(apart)} tensors differ, by {max(apart.values()):.2g} at most"


def _prepare(folder: Path, sizes: Sizes, encoder: Path, rows: int, **recipe: object) -> None:
    train, validation = (sizes.lengths("hotel", count) for count in (rows, rows // 7))
    accelerator = "gpu" if sizes.device.type == "cuda" else "cpu"
    new_training(folder, encoder, train, validation, accelerator=accelerator, **recipe)


def _start(folder: Path, command: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=stage_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _kill(process: subprocess.Popen[str], folder: Path, pause: float) -> bool:
    """Kill a run soon after its first checkpoint; return whether it had not ended by itself."""
    while process.poll() is None and not list(folder.glob("checkpoints/*/*-*")):
        time.sleep(0.005)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL
