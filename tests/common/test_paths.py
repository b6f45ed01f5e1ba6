"""The paths of the pipeline in Python and in dvc.yaml."""

from pathlib import Path

import yaml

from ordinal.common import paths
from tests.conftest import ROOT


def test_every_output_in_dvc_yaml_has_a_constant() -> None:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    outputs: set[str] = set()
    for stage in pipeline["stages"].values():
        for out in stage.get("outs", []) + stage.get("metrics", []):
            outputs |= {out} if isinstance(out, str) else set(out)
    constants = {path.as_posix() for path in vars(paths).values() if isinstance(path, Path)}
    missing = {out for out in outputs if not constants & {out, Path(out).parent.as_posix()}}
    assert missing == set()
