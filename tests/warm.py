"""`python`, `dvc` and `ordinal` that have imported torch and the like before they are called.

To import them takes a command longer than all else that it does in a test. A server does so once
for all processes of a test run, and a fork of it does what a command would, for the programs in
`folder()`. These, first on PATH, hand over their arguments, environment, folder and open files,
pass signals on, and take the fork along if they are killed. They are the programs that they stand
for if asked for Python code that is no module, if a stream is closed, and in an environment that
would make the imports do something else.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import psutil

PROGRAMS = Path(sys.executable).parent
MODULES = (
    "dvc.cli.parser",
    "dvc.repo.experiments.queue.celery",
    "dvc.repo.reproduce",
    "dvc.scm",
    "lightning.pytorch",
    "networkx",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "ruamel.yaml",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "torch",
    "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert",
    "typer.main",
)
# Beginnings of the names of variables that modules read when they are imported, or Python before.
AT_IMPORT = ("CUDA_", "HF_", "HOME", "LANG", "LC_", "OMP_", "PYTHON", "TZ")
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys

program = os.path.join({programs!r}, os.path.basename(sys.argv[0]))
arguments = sys.argv[1:]
read = {{name: value for name, value in os.environ.items() if name.startswith({at_import})}}
module = not program.endswith("python") or "-m" in arguments[:2]
closed = None in (sys.stdin, sys.stdout, sys.stderr)
server = socket.socket(socket.AF_UNIX)
try:
    if read != {here} or not module or closed:
        raise OSError
    server.connect({address!r})
except OSError:
    os.execv(program, [program, *arguments])
call = json.dumps([program, arguments, os.getcwd(), dict(os.environ)])
socket.send_fds(server, [call.encode() + b"\\n"], [0, 1, 2])
answers = server.makefile()
fork = int(answers.readline())
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.killpg(fork, number))
status = int(answers.readline())
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@cache
def folder() -> str:
    """Where the programs are. Whichever process of the test run asks first starts the server."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    path = Path(tempfile.gettempdir(), f"warm-{run}")
    made = Path(tempfile.mkdtemp())
    client = CLIENT.format(
        python=sys.executable,
        programs=str(PROGRAMS),
        at_import=AT_IMPORT,
        here={name: value for name, value in os.environ.items() if name.startswith(AT_IMPORT)},
        address=f"{path}/socket",
    )
    for name in ("python", "dvc", "ordinal"):
        (made / name).write_text(client)
        (made / name).chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{made}/socket")
        server.listen()
        try:
            made.rename(path)
        except OSError:  # another process was first
            shutil.rmtree(made)
            return str(path)
        end = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(server.fileno()), str(end), str(path)],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[server.fileno()],
            start_new_session=True,
        )
    return str(path)


def serve(server: socket.socket, end: int, path: Path) -> None:
    """Answer for as long as the process `end` lives."""
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()
    bell, button = socket.socketpair()
    button.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(button.fileno())  # a fork has ended
    forks: dict[socket.socket, int] = {}
    while psutil.pid_exists(end):
        for ready in select.select([server, bell, *forks], [], [], 1)[0]:
            if ready is server:
                client, _ = server.accept()
                call, files = read_call(client)
                if not call:
                    client.close()
                    continue
                forks[client] = os.fork()
                os.setpgid(forks[client], 0)  # in both; so that signals reach what it starts, too
                if forks[client] == 0:
                    for inherited in (server, bell, button, *forks):
                        inherited.close()
                    os._exit(answer(path, files, *call))
                tell(client, forks[client])
                for file in files:
                    os.close(file)
            elif ready is bell:
                bell.recv(4096)
            else:  # the client is no more
                os.killpg(forks[ready], signal.SIGKILL)
        for client, fork in list(forks.items()):
            ended, status = os.waitpid(fork, os.WNOHANG)
            if ended:
                tell(client, os.waitstatus_to_exitcode(status))
                client.close()
                del forks[client]
    shutil.rmtree(path)


def read_call(client: socket.socket) -> tuple[list[Any], list[int]]:
    """What a client asks for, and its open files; nothing if it was killed meanwhile."""
    call, files, _, _ = socket.recv_fds(client, 1 << 20, 3)
    while not call.endswith(b"\n"):
        more = client.recv(1 << 20)
        if not more:
            return [], files
        call += more
    return json.loads(call), files


def tell(client: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # it was killed
        client.send(f"{number}\n".encode())


def answer(
    path: Path,
    files: list[int],
    program: str,
    arguments: list[str],
    directory: str,
    environment: dict[str, str],
) -> int:
    """Do what a client is called for, as its process would; the exit status."""
    from lightning.fabric.utilities import rank_zero

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.executable = str(path / "python")
    rank_zero.rank_zero_only.rank = int(environment.get("LOCAL_RANK", 0))  # read when imported
    try:
        if program.endswith("python"):
            place = arguments.index("-m") + 1  # before it, -u at most
            sys.argv, sys.path[0] = arguments[place:], directory
            runpy.run_module(arguments[place], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = [program, *arguments], str(PROGRAMS)
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001, as the interpreter does
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    number, end, path = sys.argv[1:]
    serve(socket.socket(fileno=int(number)), int(end), Path(path))
    os._exit(0)  # what was imported has more to say at the end
