"""What comes from outside may be anything: a stage takes it, or says in one sentence why not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import run_in, set_params, stages_of
from tests.loopback import Loopback, serving
from tests.pipeline.bad_input import GROUPS, TITLES, Case, meet, section

CASES = [case for cases in GROUPS.values() for case in cases]


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with pytest.MonkeyPatch.context() as patch, serving() as server:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        yield server


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_bad_input_ends_as_documented(case: Case, finished_project: Path, server: Loopback) -> None:
    try:
        row = meet(case, finished_project, server)
    finally:
        (finished_project / "data").chmod(0o755)
    assert row in section().splitlines(), "write it anew: `make reliability`"


def test_the_document_has_all_cases_and_no_other() -> None:
    rows = [line for line in section().splitlines() if line.startswith("| ")]
    titles = TITLES.splitlines()[0]
    assert [row.split(" | ")[0][2:] for row in rows if row != titles] == [
        case.what for case in CASES
    ]
    assert len({case.what for case in CASES}) == len(CASES)


@pytest.mark.parametrize("classes", [2, 1000])
def test_two_classes_and_a_thousand_go_through_the_whole_pipeline(
    classes: int, small_project: Path
) -> None:
    rows = "".join(f"room {number},{number % classes}\n" for number in range(3 * classes + 20))
    (small_project / "data/own/small.csv").write_text(f"review,stars\n{rows}")
    set_params(small_project, {"train.epochs": 1})
    for stage in stages_of(small_project):
        run = run_in(small_project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr
        assert "Warning" not in run.stderr
