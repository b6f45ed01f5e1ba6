"""The same commit on the same machine gives the same bytes in any folder and environment."""

import json
from pathlib import Path

import pytest

from tests.conftest import results_of, run_in, small_clone

ELSEWHERE = {
    "LC_ALL": "POSIX",
    "PYTHONCOERCECLOCALE": "0",  # otherwise Python would use UTF-8
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
    assert results_of(project) == results_of(finished_project)

    # The hardware and the versions are logged where no stage depends on them.
    log = json.loads((project / "logs/train.json").read_text())
    assert log["hardware"]["threads"] == 1
    assert "torch" in log["libraries"]
    assert not run_in(project, "git", "status", "--porcelain", "logs").stdout


def test_the_comparison_notices_a_change_of_one_byte(finished_project: Path) -> None:
    before = results_of(finished_project)
    folders = {name.partition("/")[0] for name in before}
    assert folders == {"data", "models", "metrics", "dvc.lock"}
    name = "models/ordinal/calibration.json"
    path = finished_project / name
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content + b" ")
    after = results_of(finished_project)
    assert {key for key in after if before[key] != after[key]} == {name}
