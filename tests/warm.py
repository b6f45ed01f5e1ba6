"""A `python` that has imported torch, transformers and lightning before it is called.

To import them takes a stage longer than all else that it does in a test. `python -m tests.warm
FOLDER` does so once, and serves FOLDER/python. That, first on PATH, hands over its arguments,
environment, folder and open files; a fork of the server runs the module with them. Without -m,
while there is no server, and where coverage is measured, it is the python that it stands for.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

MODULES = (
    "lightning.pytorch",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "scipy.stats",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "torch",
    "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert",
)
CLIENT = """#!{python} -IS
import json, os, socket, sys

server = socket.socket(socket.AF_UNIX)
try:
    if sys.argv[1:2] != ["-m"] or "COVERAGE_PROCESS_CONFIG" in os.environ:
        raise OSError
    server.connect({address!r})
except OSError:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
call = json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ)])
socket.send_fds(server, [call.encode()], [0, 1, 2])
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.recv(3) or 70))
"""


@cache
def folder() -> str:
    """Where the `python` is; its server gets ready meanwhile, and ends with this process."""
    path = tempfile.mkdtemp(prefix="warm-")
    client = Path(path, "python")
    client.write_text(CLIENT.format(python=sys.executable, address=f"{path}/socket"))
    client.chmod(0o755)
    command = [sys.executable, "-m", "tests.warm", path]
    root = Path(__file__).parent.parent
    server = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, start_new_session=True)
    atexit.register(server.stdin.close)
    return path


def serve(address: str) -> None:
    """Answer until stdin is closed."""
    for module in MODULES:
        importlib.import_module(module)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready:
        server.bind(address)
        server.listen()
        for source in (server, sys.stdin):
            ready.register(source, selectors.EVENT_READ)
        while all(key.fileobj is server for key, _ in ready.select()):
            client, _ = server.accept()
            if os.fork() == 0:
                os._exit(answer(client))
            client.close()
    shutil.rmtree(Path(address).parent)


def answer(client: socket.socket) -> int:
    """Run the module that a client asks for, as its process would; tell it the exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    call, files, _, _ = socket.recv_fds(client, 1 << 20, 3)
    while more := client.recv(1 << 20):
        call += more
    sys.argv, directory, environment = json.loads(call)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    sys.path[0] = directory
    for number, file in enumerate(files):
        os.dup2(file, number)
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    status = run(sys.argv[0])
    client.send(str(status).encode())
    return status


def run(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001, as the interpreter does
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    serve(f"{sys.argv[1]}/socket")
