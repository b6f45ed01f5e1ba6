"""`make repro` with the embedded default, cut short: the real corpus and the real encoder."""

import json
from pathlib import Path

import pytest

from tests.conftest import MAKE, clone, run_in, set_params


@pytest.mark.slow
def test_make_repro_learns_from_the_embedded_default_in_a_folder_with_any_name(
    tmp_path: Path,
) -> None:
    project = clone(tmp_path / "a folder with spaces, ü and 'quotes'")
    set_params(
        project,
        {
            "tokenize.max_length": 16,
            "train.epochs": 1,
            "train.batch_size": 8,
            "evaluate.resamples": 100,
        },
    )
    run = run_in(project, *MAKE, "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "synthetic" in run.stdout
    metrics = json.loads((project / "metrics/metrics.json").read_text())
    baselines = json.loads((project / "metrics/baseline.json").read_text())
    assert metrics["test"]["mae"] < baselines["median"]["mae"] - 0.2
    assert f"{metrics['test']['mae']:.4f}" in run.stdout
