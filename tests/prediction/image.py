"""Run the steps of the Dockerfile in an empty environment, and ask its server for a prediction.

`python -m tests.prediction.image MODEL.onnx` takes a minute, and requires internet access.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from tests.conftest import ROOT


def steps(instruction: str) -> list[str]:
    """Return the arguments of an instruction of the Dockerfile, wherever it occurs."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", "", text).splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{instruction} ")]


def build(folder: Path) -> None:
    """Run the COPY and RUN steps of the first stage in a folder, with `folder`/venv for /venv."""
    first = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[1]
    subprocess.run([sys.executable, "-m", "venv", folder / "tools"], check=True)
    env = os.environ | {"PATH": f"{folder}/tools/bin:{os.environ['PATH']}"}
    for line in re.sub(r"\\\n", "", first).splitlines():
        instruction, _, arguments = line.partition(" ")
        if instruction == "COPY":
            *sources, _ = arguments.split()
            for source in sources:
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
                copy(ROOT / source, folder / source)
        elif instruction == "RUN":
            command = arguments.replace("/venv", f"{folder}/venv")
            subprocess.run(["bash", "-ec", command], cwd=folder, env=env, check=True)


def main() -> None:
    model = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder)
        [entry] = steps("ENTRYPOINT")
        command = json.loads(entry.replace("/venv", f"{folder}/venv"))
        server = subprocess.Popen(
            [*command, "--port", "0", "--model", model],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            port = server.stdout.readline().split("/ (stop")[0].rpartition(":")[2]
            body = json.dumps({"texts": ["The room was spotless."]}).encode()
            headers = {"Content-Type": "application/json"}
            request = Request(f"http://127.0.0.1:{port}/predict", body, headers)
            with build_opener(ProxyHandler({})).open(request) as answer:
                print(json.load(answer)["predictions"][0])
            server.send_signal(signal.SIGTERM)
            assert server.wait() == 0
        finally:
            server.kill()


if __name__ == "__main__":
    main()
