"""The embedded default as a newcomer runs it, cut to one epoch: real corpus, real encoder."""

import json
from pathlib import Path

import pytest

from tests.conftest import MAKE, ROOT, run_in, set_params
from tests.tour import steps, walk


@pytest.mark.slow
def test_make_repro_learns_on_the_embedded_default_and_the_tour_leads_through_it(
    project: Path,
) -> None:
    set_params(project, {"train.epochs": 1, "evaluate.resamples": 100})
    run = run_in(project, *MAKE, "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "synthetic" in run.stdout
    metrics = json.loads((project / "metrics/metrics.json").read_text())
    assert metrics["test"]["mae"] < metrics["baseline"]["median"]["mae"] - 0.2
    assert f"{metrics['test']['mae']:.4f}" in run.stdout

    told, printed = [text for _, text in steps()], walk(project)
    assert printed[:4] == told[:4]  # from here on it depends on the training, cut short here
    assert all(printed)
    committed = json.loads((ROOT / "metrics/metrics.json").read_text())
    assert f"in metrics.json: {committed['test']['mae']}\n" in told[-1]
