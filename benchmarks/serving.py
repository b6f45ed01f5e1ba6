"""The server under load: throughput, latency, refusals, CPU time and memory by number of clients.

Each client sends test rows one by one over its own connection. After the status 503 it waits as
long as Retry-After says. Servers of several forms of a run's model take turns, so that both sides
of a ratio come from the same minutes; a server that waits for its turn needs no CPU time. With
`--before REVISION`, the server of another commit takes part. The last line is about SIGTERM under
load. `make bench` does not run this: it takes ten minutes.
"""

import argparse
import asyncio
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.prediction import MODEL, test_rows
from ordinal.common.paths import TOKENIZED
from ordinal.prediction.bf16 import export_bf16
from ordinal.prediction.onnx import export_onnx, quantize_onnx
from ordinal.tokenization.tokens import Tokens

ROOT = Path(__file__).parent.parent
CLIENTS = (1, 8, 32, 128)
SECONDS = 30.0
WARM_UP = 1.0
COMMAND = "from ordinal.cli import app; app()"
LINE = "| {:>7} | {:22} | {:>9} | {:>6} | {:>7} | {:>7} | {:>7} | {:>5} | {:>6} | {:>7} |"
HEADINGS = ("clients", "server", "answers/s", "ratio", "p50, ms", "p99, ms", "CPU, ms", "503")
HEADINGS += ("errors", "peak MB")


@dataclass
class Load:
    """The outcome of all requests of some clients."""

    latencies: list[float] = field(default_factory=list)
    """Seconds, of the answers with status 200."""
    refused: int = 0
    """Answers with status 503."""
    errors: int = 0
    """Other answers, and connections that broke in the middle of a request."""
    until: float = float("inf")
    """Time after which no request is sent."""
    seconds: float = 0.0
    """From the first request to the last answer."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: "subprocess.Popen[str]"
    port: int

    @property
    def cpu(self) -> float:
        """CPU time since its start, in seconds."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    @property
    def peak(self) -> float:
        """Peak memory since its start, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024


@contextmanager
def running(source: Path, arguments: Sequence[str | Path], log: Path) -> Iterator[Server]:
    """Run `ordinal serve` of the code in a folder; its stdout goes to `log`."""
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", "--port", "0", *map(str, arguments)],
            cwd=source,
            env=os.environ | {"PYTHONPATH": str(source)},
            stdout=out,
            text=True,
        )
    try:
        while not log.read_text().endswith("\n"):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with status {process.returncode}")
            time.sleep(0.05)
        yield Server(process, int(log.read_text().split("/ (stop")[0].rsplit(":", 1)[1]))
    finally:
        process.kill()
        process.wait()


def request(text: str) -> bytes:
    """Return a request for the prediction of one text."""
    body = json.dumps({"texts": [text]}).encode()
    lines = ("POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Read an answer; return its status and headers."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers


async def client(port: int, requests: Iterator[bytes], load: Load) -> None:
    """Send requests one after the other until their time is over, or the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (start := time.perf_counter()) < load.until:
        writer.write(next(requests))
        try:
            status, headers = await answer(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            load.errors += 1
            break
        if status == 200:
            load.latencies.append(time.perf_counter() - start)
        elif status == 503 and "retry-after" in headers:
            load.refused += 1
            rest = load.until - time.perf_counter()
            await asyncio.sleep(max(0, min(float(headers["retry-after"]), rest)))
        else:
            load.errors += 1
        if headers.get("connection") == "close":
            break
    writer.close()


async def send(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    """Load a server with this many clients."""
    start = time.perf_counter()
    load = Load(until=start + seconds)
    await asyncio.gather(*(client(port, requests, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - start
    return load


def forms(folder: Path) -> dict[str, list[str | Path]]:
    """Export the forms of the model; return the arguments of `ordinal serve` for each."""
    validation = Tokens.load(TOKENIZED / "validation.arrow")
    model, whole, int8, bf16 = (
        MODEL.resolve(),
        *(folder / name for name in ("model.onnx", "int8.onnx", "bf16")),
    )
    export_onnx(model, whole)
    quantize_onnx(whole, int8, validation)
    export_bf16(model, bf16, validation)
    return {
        "fp32": ["--model", model],
        "cascade: bf16, fp32": ["--model", bf16, "--precise", model],
        "ONNX": ["--model", whole],
        "cascade: int8, ONNX": ["--model", int8, "--precise", whole],
        "int8": ["--model", int8],
    }


def code_of(revision: str, folder: Path) -> Path:
    """Write the code of a revision to a folder."""
    command = ["git", "archive", "--format=tar", revision, "ordinal"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def row(clients: int, name: str, load: Load, base: float, cpu: float, peak: float) -> str:
    """Return a row of the table.

    `base` is the rate of the first server, and `cpu` the CPU time for these requests.
    """
    rate = len(load.latencies) / load.seconds
    low, high = np.percentile(load.latencies or [np.nan], (50, 99)) * 1000
    each = 1000 * cpu / max(1, len(load.latencies))
    cells = (f"{rate:.1f}", f"{rate / base if base else 1:.2f}", f"{low:.0f}", f"{high:.0f}")
    rest = (f"{each:.1f}", load.refused, load.errors, f"{peak:.0f}")
    return LINE.format(clients, name, *cells, *rest)


def compare(servers: dict[str, Server], texts: list[str], clients: Sequence[int], s: float) -> None:
    """Load the servers in turns, and print the table."""
    requests = itertools.cycle([request(text) for text in texts])
    for server in servers.values():
        asyncio.run(send(server.port, requests, 1, WARM_UP))
    print(LINE.format(*HEADINGS))
    print("|---" * len(HEADINGS) + "|")
    for count in clients:
        base = 0.0
        for name, server in servers.items():
            before = server.cpu
            load = asyncio.run(send(server.port, requests, count, s))
            base = base or len(load.latencies) / load.seconds
            print(row(count, name, load, base, server.cpu - before, server.peak), flush=True)


async def stop(server: Server, requests: Iterator[bytes], clients: int) -> tuple[int, int]:
    """Send SIGTERM in the middle of the requests.

    Return the number of answers, and that of the requests before the signal without an answer.
    """
    load = Load()
    tasks = [client(server.port, requests, load) for _ in range(clients)]
    sending = asyncio.gather(*tasks)
    await asyncio.sleep(2)
    load.until = time.perf_counter()
    server.process.send_signal(signal.SIGTERM)
    await sending
    return len(load.latencies) + load.refused, load.errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", metavar="REVISION")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, texts = Path(name), test_rows()
        sides = [(name, ROOT, served) for name, served in forms(folder).items()]
        if given.before:
            old = code_of(given.before, folder / "before")
            sides.insert(0, (f"fp32 at {given.before[:9]}", old, ["--model", MODEL.resolve()]))
        servers = {
            name: stack.enter_context(running(source, served, folder / f"{number}.log"))
            for number, (name, source, served) in enumerate(sides)
        }
        compare(servers, texts, given.clients, given.seconds)
        requests = itertools.cycle([request(text) for text in texts])
        answers, lost = asyncio.run(stop(servers["fp32"], requests, max(given.clients)))
        status = servers["fp32"].process.wait()
        print(
            f"SIGTERM with {max(given.clients)} clients: {answers} answers, {lost} lost; {status=}"
        )


if __name__ == "__main__":
    main()
