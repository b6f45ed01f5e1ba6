"""Test that the Dockerfile installs what the server of an ONNX file imports."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib

from packaging.requirements import Requirement

from tests.conftest import ROOT
from tests.prediction.image import steps

IMPORTS = """
import sys
sys.modules |= dict.fromkeys(("torch", "transformers"))  # importing them fails
import ordinal.cli.serve, ordinal.prediction.server
from ordinal import load
from ordinal.prediction.onnx import load_onnx
import onnxruntime
print(*{name.partition(".")[0] for name, module in sys.modules.items() if module})
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def with_dependencies(names: set[str]) -> set[str]:
    """Return distributions and all that they need."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                left.append(canonical(need.name))
    return found


def test_the_image_has_what_the_server_imports_and_no_torch() -> None:
    install = next(step for step in steps("RUN") if "--constraints" in step)
    installed = {word for word in install.split("requirements.lock")[1].split() if word != "\\"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["serve"], *extras["onnx"]]
    ours = {canonical(Requirement(line).name) for line in listed}
    assert installed <= ours
    shown = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    ).stdout
    distributions = importlib.metadata.packages_distributions()
    used = {canonical(name) for top in shown.split() for name in distributions.get(top, [])}
    assert {"fastapi", "onnxruntime", "prometheus-client"} <= used
    assert used & ours <= with_dependencies(installed)
    assert not {"torch", "transformers"} & with_dependencies(installed)


def test_the_image_runs_without_root_and_gets_signals_itself() -> None:
    [user] = steps("USER")
    assert int(user.partition(":")[0]) > 0
    [entry] = steps("ENTRYPOINT")
    assert entry.startswith('["/venv/bin/ordinal", "serve", ')
