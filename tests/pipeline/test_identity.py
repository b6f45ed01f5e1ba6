"""The same commit on the same machine gives the same bytes, whatever else is different."""

import json
from pathlib import Path

import pytest

from tests.conftest import run_in, small_clone
from tests.pipeline.faults import result

ELSEWHERE = {
    "LC_ALL": "POSIX",
    "PYTHONCOERCECLOCALE": "0",  # left alone, Python would make UTF-8 of it
    "PYTHONUTF8": "0",
    "TZ": "Pacific/Kiritimati",
    "PYTHONHASHSEED": "12345",
    "TOKENIZERS_PARALLELISM": "true",
    "RAYON_NUM_THREADS": "2",
    "USER": "somebody",
    "LOGNAME": "somebody",
}


@pytest.mark.slow
def test_another_folder_user_locale_time_zone_and_hash_seed_make_no_difference(
    finished_project: Path, tiny_encoder: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    project = small_clone(tmp_path / "some other place" / "project", tiny_encoder)
    run = run_in(project, "dvc", "repro", HOME=str(tmp_path / "home"), **ELSEWHERE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert result(project) == result(finished_project)

    # What they were computed by stands where nothing depends on it.
    log = json.loads((project / "logs/train.json").read_text())
    assert log["hardware"]["threads"] == 1
    assert "torch" in log["libraries"]
    assert not run_in(project, "git", "status", "--porcelain", "logs").stdout


def test_the_bytes_compared_are_those_of_all_that_a_run_leaves(finished_project: Path) -> None:
    before = result(finished_project)
    folders = {name.partition("/")[0] for name in before}
    assert folders == {"data", "models", "metrics", "dvc.lock"}
    for name in ("models/ordinal/calibration.json", "metrics/plots/steps.csv"):
        path = finished_project / name
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content + b" ")
        assert {key for key, value in result(finished_project).items() if before[key] != value} == {
            name
        }
        path.write_bytes(content)
