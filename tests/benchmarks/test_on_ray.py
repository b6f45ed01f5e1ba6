"""The benchmark of Ray runs at a tiny size, without Ray."""

from functools import partial
from pathlib import Path

import pytest

from benchmarks import on_ray
from ordinal.prediction.folder import in_processes


def test_throughput_is_compared_with_one_process(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = partial(in_processes, 1)
    monkeypatch.setattr(on_ray, "RUNS", {"1 process": one, "again": one})
    on_ray.main(tiny_model, files=3, rows=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "prediction of 3 files with 2 rows each, compared with one process"
    assert lines[1].startswith("  1 process: 1.00 times its rows/s; ")
    assert lines[2].startswith("  again: ")
