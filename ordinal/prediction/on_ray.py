"""Predict blocks on a Ray cluster, with Ray Data."""

import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ordinal.common.errors import DEBUG, UserError, one_line
from ordinal.prediction.blocks import Block, Input, divide
from ordinal.prediction.folder import Worker
from ordinal.prediction.manifest import model_files
from ordinal.prediction.parts import Outcome

if TYPE_CHECKING:
    from ray import ObjectRef

LOCAL = "local"
"""The address that starts Ray on this machine."""
CONNECT = 20  # seconds
OBJECT_STORE = 256 << 20  # bytes, next to the model; blocks need next to none

Bytes = npt.NDArray[np.uint8]


@contextmanager
def on_ray(
    address: str, actors: int | None, worker: Worker, files: Sequence[Input]
) -> Iterator[Iterator[Outcome]]:
    """Predict files with actors that hold one model each, on a GPU if the cluster has some.

    If a node fails, the other actors predict its blocks.

    Args:
        address: An address of `ray.init`: `local`, `auto`, or HOST:PORT.
        actors: The number of actors; None uses the whole cluster.
        worker: The work.
        files: The files.

    Raises:
        UserError: Ray is not installed, there is no cluster at the address, or the model can't be
            loaded.
    """
    # Ray would report a model that can't be loaded with the traceback of an actor.
    worker.load("cpu")
    forms = [_read(form) for form in worker.forms]
    size = sum(content.nbytes for form in forms for content in form.values())
    with _cluster(address, size) as ray:
        gpus, cpus = _processors(ray, worker.model)
        number = actors or gpus or cpus
        blocks = divide(files, number)
        numbers = [{"block": number} for number in range(len(blocks))]
        # Not ray.data.range, whose tasks would wait for a CPU that no actor holds.
        outcomes = ray.data.from_items(numbers, override_num_blocks=len(blocks)).map_batches(
            _Actor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(number, len(blocks))),
            num_cpus=1,
            num_gpus=1 if gpus else None,
            fn_constructor_args=(worker, blocks, ray.put(forms), str(Path.cwd())),
        )
        yield map(_outcome, outcomes.iter_rows())


def _outcome(row: Mapping[str, bytes]) -> Outcome:
    """Return the outcome that an actor has returned, or raise its error."""
    outcome: Outcome | Exception = pickle.loads(row["outcome"])  # noqa: S301 (ours)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _processors(ray: Any, model: Path) -> tuple[int, int]:
    """Return the numbers of GPUs and CPUs of a cluster that can compute a model."""
    resources = ray.cluster_resources()
    gpus = 0 if model.suffix == ".onnx" else int(resources.get("GPU", 0))
    return gpus, int(resources.get("CPU", 1))


class _Actor:
    """An actor of Ray Data, which predicts blocks by their numbers."""

    def __init__(
        self, worker: Worker, blocks: Sequence[Block], forms: "ObjectRef[Any]", folder: str
    ) -> None:
        import ray

        if Path(folder).is_dir():  # relative names are relative to the folder of the command
            os.chdir(folder)
        self.blocks = blocks
        with TemporaryDirectory() as temporary:
            paths = [
                Path(temporary) / str(number) / form.name
                for number, form in enumerate(worker.forms)
            ]
            for path, files in zip(paths, ray.get(forms), strict=True):
                _write(files, path)
            self.worker = replace(worker, model=paths[0], precise=paths[1] if paths[1:] else None)
            self.worker.predictor  # noqa: B018 (loads it)

    def __call__(self, batch: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, list[bytes]]:
        return {"outcome": [pickle.dumps(self._predict(number)) for number in batch["block"]]}

    def _predict(self, number: int) -> Outcome | Exception:
        """Return an outcome, or an error for the user, whose message Ray would replace."""
        try:
            return self.worker(self.blocks[number])
        except (UserError, OSError) as error:
            return error


def _read(model: Path) -> dict[str, Bytes]:
    return {name: np.fromfile(path, np.uint8) for name, path in model_files(model).items()}


def _write(files: Mapping[str, Bytes], model: Path) -> None:
    for name, content in files.items():
        path = model / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content.tofile(path)


@contextmanager
def _cluster(address: str, model_size: int) -> Iterator[Any]:
    """Yield the module ray, connected to a cluster.

    Ray's messages are shown if `DEBUG` is set. Its statistics of use are not sent.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    is_quiet = os.environ.get(DEBUG) != "1"
    try:
        import ray
        import ray.data
    except ImportError:
        raise UserError("ray is missing: install it with `pip install '.[ray]'`") from None
    here = {"include_dashboard": False, "object_store_memory": OBJECT_STORE + 2 * model_size}
    handler = signal.getsignal(signal.SIGTERM)  # ray replaces it
    with _silence(ray) if is_quiet else nullcontext():
        try:
            _connect(address)
            ray.init(
                address,
                log_to_driver=not is_quiet,
                logging_level=logging.CRITICAL if is_quiet else logging.INFO,
                **here if address == LOCAL else {},
            )
        except OSError:
            raise UserError(
                f"--ray {address}: no cluster is running there: start one with `ray start --head`, "
                "or use --ray local"
            ) from None
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--ray {address}: can't start Ray: {one_line(error)}") from None
        signal.signal(signal.SIGTERM, handler)
        try:
            yield ray
        finally:
            ray.shutdown()


def _connect(address: str) -> None:
    """Pass if HOST:PORT accepts connections. Ray would try for minutes, and end the process."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT).close()


@contextmanager
def _silence(ray: Any) -> Iterator[None]:
    """Suppress what Ray prints: log messages, reports of failed nodes, and errors of its core.

    Its threads print reports to Python's stdout, and its core prints to the stderr of the process.
    Python's stderr, which shows our progress, is kept.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    stderr = os.dup(2)
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123
        stack.enter_context(redirect_stdout(nowhere))
        if sys.stderr is sys.__stderr__:
            ours = stack.enter_context(os.fdopen(os.dup(2), "w", buffering=1))
            stack.enter_context(redirect_stderr(ours))
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
