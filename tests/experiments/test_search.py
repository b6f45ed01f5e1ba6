"""Test the search for parameters: ranges, proposals, interruptions, and what is read."""

import contextlib
import math
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from ordinal.common.errors import UserError
from ordinal.common.files import read_json
from ordinal.common.paths import PARAMS
from ordinal.experiments import queue, revisions
from ordinal.experiments.overrides import values_in
from ordinal.experiments.search import Search, Trial, propose, ranked, run_search, trial_name
from ordinal.experiments.space import Choice, Interval, parse_space, size
from tests.conftest import ROOT, environment, git, run_in
from tests.sources.conftest import the_error

LR = "train.lr=1e-5..1e-1 log"
LOSS = "train.loss=emd,sord"
COMMITTED = values_in((ROOT / "params.yaml").read_text(encoding="utf-8"))
# Validation is best at 3e-4 with emd, where test is worst. The second trial waits for a file, and
# coral fails.
TRIAL = """
import math, os, sys, time
import pandas as pd, yaml
train = yaml.safe_load(open("params.yaml"))["train"]
with open(os.environ["TRIALS"], "a") as file:
    print(train["lr"], train["loss"], train["seed"], file=file)
second = len(open(os.environ["TRIALS"]).readlines()) == 2
while second and not os.path.exists(os.environ["GO"]):
    time.sleep(0.05)
if train["loss"] == "coral":
    sys.exit("coral does not work here")
quality = math.exp(-abs(math.log10(float(train["lr"]) / 3e-4))) / (1 + (train["loss"] != "emd"))
os.makedirs("data/predictions")
for part, share in (("validation", quality), ("test", 1 - quality)):
    rows = pd.DataFrame({"row": range(30), "label": [0, 1, 2] * 10})
    rows["predicted"] = rows["label"]
    for k in range(3):
        rows[f"p_{k}"] = (rows["label"] == k) * share + (1 - share) / 3
    rows.to_parquet(f"data/predictions/{part}.parquet")
"""
PIPELINE = {
    "stages": {
        "trial": {
            "cmd": "python trial.py",
            "deps": ["trial.py"],
            "params": ["train"],
            "outs": ["data/predictions"],
        }
    }
}


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


# Ranges


def test_ranges_are_read_in_the_order_of_their_names() -> None:
    space = parse_space(
        [
            "train.loss=corn, emd",
            LR,
            "train.epochs=2..6",
            "train.warmup=0..0.3",
            "train.clip=null,1",
        ]
    )
    assert list(space) == sorted(space)
    assert space == {
        "train.clip": Choice((None, 1.0)),
        "train.epochs": Interval(2, 6, log=False, whole=True),
        "train.loss": Choice(("corn", "emd")),
        "train.lr": Interval(1e-5, 1e-1, log=True, whole=False),
        "train.warmup": Interval(0, 0.3, log=False, whole=False),
    }
    assert size(space) == float("inf")
    assert size(parse_space(["train.epochs=2..6", "train.loss=corn,emd"])) == 10


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([], "name at least one parameter to try values of, with --range"),
        (["train.lr"], "--range 'train.lr': write NAME=LOW..HIGH, NAME=LOW..HIGH log, or"),
        (["train.lr="], "write NAME=LOW..HIGH"),
        (["train.rl=1..2"], "--range: train.rl is not a parameter; did you mean train.lr?"),
        (["train.seed=1..9"], "a seed that suits the validation rows proves nothing"),
        (["split.seed=1..9"], "trials are compared on the same rows, so set split.seed instead"),
        ([LR, "train.lr=1..2"], "--range 'train.lr=1..2': train.lr already has a range"),
        (["train.lr=2..1"], "the first number must be the smaller one"),
        (["train.lr=1..1"], "the first number must be the smaller one"),
        (["train.lr=0..1"], "train.lr is '0': it must be greater than 0"),
        (["train.warmup=0..0.5 log"], "numbers on a logarithmic scale are above 0"),
        (["train.epochs=1..2.5"], "train.epochs is '2.5': it must be a whole number"),
        (["train.loss=corn..emd"], "train.loss is no number: list its values, such as"),
        (["train.loss=corn,edm"], "train.loss is 'edm': it must be 'corn'"),
        (["train.loss=corn"], "name at least two values, such as NAME=A,B or"),
        (["train.loss=corn,corn"], "a value is there twice"),
        (["train.lr=1..2 ln"], "train.lr is '1..2 ln': it must be a number"),
    ],
)
def test_a_wrong_range_is_refused(ranges: list[str], message: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_space(ranges)
    assert message in str(refused.value)


def test_numbers_have_three_digits_and_stay_within_the_range() -> None:
    assert Interval(1e-5, 1e-3, log=True, whole=False).rounded(0.000123456) == 0.000123
    assert Interval(0.12345, 1, log=False, whole=False).rounded(0.12345) == 0.12345
    assert repr(Interval(2, 6, log=False, whole=True).rounded(3)) == "3"


# Proposals


def search(*ranges: str) -> Search:
    return Search("quick", parse_space(ranges), "rps")


def run_trials(definition: Search, count: int, jobs: int = 1) -> list[Trial]:
    """Run the trials of a search without DVC: the score is lowest at 3e-3 with emd."""
    ended: list[Trial] = []
    while batch := propose(definition, COMMITTED, ended, min(jobs, count - len(ended))):
        for values in batch:
            score = abs(math.log10(values["train.lr"] / 3e-3)) + (values["train.loss"] != "emd")
            ended.append(Trial(trial_name(definition, values), values, score))
    return ended


def test_the_first_trial_has_the_committed_parameters() -> None:
    space = search(LR, "train.loss=corn,emd")
    [values] = propose(space, COMMITTED, [], 1)
    assert values == {name: COMMITTED[name] for name in space.space}
    [values] = propose(search("train.lr=1..2"), COMMITTED, [], 1)  # the committed one is outside
    assert 1 <= values["train.lr"] <= 2


def test_good_values_are_found_and_no_combination_is_proposed_twice() -> None:
    trials = run_trials(search(LR, LOSS), 40, jobs=2)
    assert len({trial.name for trial in trials}) == len(trials) == 40
    best = ranked(trials, "rps")[0]
    assert best.values["train.loss"] == "emd"
    assert best.values["train.lr"] == pytest.approx(3e-3, rel=0.3)
    # Most of the later trials are near the best one; of random ones, a sixth would be.
    later = [trial.values["train.lr"] for trial in trials[20:]]
    assert sum(1e-3 < lr < 1e-2 for lr in later) > 10


def test_the_next_trial_depends_on_those_that_ended_alone() -> None:
    """So that an interrupted search goes on as it would have without the interruption."""
    definition = search(LR, LOSS)
    trials = run_trials(definition, 12)
    for ended in (trials[:11], trials[:11][::-1]):
        [values] = propose(definition, COMMITTED, ended, 1)
        assert values == trials[11].values
    failed = [Trial(trial.name, trial.values, None) for trial in trials[:2]]
    [values] = propose(definition, COMMITTED, failed, 1)
    assert trial_name(definition, values) not in {trial.name for trial in failed}


def test_fewer_are_proposed_if_all_values_were_tried() -> None:
    trials = run_trials(search("train.lr=0.1,0.2", LOSS), 9, jobs=3)
    assert {(trial.values["train.lr"], trial.values["train.loss"]) for trial in trials} == {
        (lr, loss) for lr in (0.1, 0.2) for loss in ("emd", "sord")
    }


@contextlib.contextmanager
def no_queue(_: int) -> Iterator[None]:
    yield


@pytest.mark.parametrize("losses", [2, 3])
def test_a_run_that_dvc_loses_is_queued_again(losses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of DVC that ends just as it takes a run loses it."""
    queued: list[str] = []

    def finished(_: object) -> dict[str, str]:
        return {name: name for name in queued[losses:]}

    values = {"train.lr": 0.0004}
    monkeypatch.setattr(queue, "open_queue", no_queue)
    monkeypatch.setattr(queue, "left_runs", lambda _: set())
    monkeypatch.setattr(queue, "enqueue", lambda _, name, __: queued.append(name))
    monkeypatch.setattr(queue, "as_finished", lambda *_: iter([set()]))
    monkeypatch.setattr(queue, "finished_runs", finished)
    monkeypatch.setattr(queue, "failed_runs", lambda _: {})
    monkeypatch.setattr(revisions, "parameters", lambda _: PARAMS.read_text(encoding="utf-8"))
    monkeypatch.setattr("ordinal.experiments.search.score_of", lambda *_: 0.5)
    if losses == 3:
        with pytest.raises(
            UserError, match=r"quick-\w{8} ended 3 times without a result: see `dvc"
        ):
            run_search(search(LR), 1, 1)
    else:
        [trial] = run_search(search(LR), 1, 1)
        assert (trial.values, trial.score) == (values, 0.5)
    assert len(queued) == 3
    assert len(set(queued)) == 1


def test_a_search_whose_trials_all_failed_before_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = trial_name(search(LR), {"train.lr": 0.0004})
    monkeypatch.setattr(queue, "open_queue", no_queue)
    monkeypatch.setattr(queue, "left_runs", lambda _: set())
    monkeypatch.setattr(queue, "finished_runs", lambda _: {})
    monkeypatch.setattr(queue, "failed_runs", lambda _: {name: "commit"})
    monkeypatch.setattr(revisions, "parameters", lambda _: PARAMS.read_text(encoding="utf-8"))
    with pytest.raises(UserError, match=f"no trial succeeded: see `dvc queue logs {name}`"):
        run_search(search(LR), 1, 1)


def test_the_best_trial_is_first_and_failed_ones_are_last() -> None:
    trials = [Trial(name, {}, score) for name, score in (("a", 2), ("b", None), ("c", 1))]
    assert [trial.name for trial in ranked(trials, "rps")] == ["c", "a", "b"]
    assert [trial.name for trial in ranked(trials, "accuracy")] == ["a", "c", "b"]


# DVC's queue, with a pipeline of one quick stage


@pytest.fixture
def quick_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose only stage writes predictions at once."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    for file in ("params.yaml", "data/catalog.yaml", ".gitignore", ".dvcignore"):
        (folder / file).write_bytes((ROOT / file).read_bytes())
    (folder / "trial.py").write_text(TRIAL)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    git(folder, "init --quiet --initial-branch=main")
    run = run_in(folder, "dvc", "init", "--quiet")
    assert run.returncode == 0, run.stderr
    git(folder, "add --all", "commit --quiet -m Start")
    monkeypatch.setenv("TRIALS", str(tmp_path / "trials.txt"))
    monkeypatch.setenv("GO", str(tmp_path / "go"))
    (tmp_path / "go").touch()
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(queue, "IDLE_POLLS", 150)  # half a minute, since the machine may be busy
    yield folder
    run_in(folder, "dvc", "queue", "stop", "--kill")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.is_file() else []


def end_workers(project: Path) -> None:
    """End DVC's idle workers, which would wait for more runs for a while."""
    for file in (project / ".dvc/tmp/exps/celery").glob("dvc-exp-worker-*.pid"):
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(int(file.read_text()))
            if "queue-worker" in worker.cmdline():
                worker.kill()


def trials_in(project: Path) -> set[str]:
    listed = run_in(project, "dvc", "exp", "list", "--name-only").stdout.split()
    return {name for name in listed if name.startswith("recipe-")}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files of experiments that are read in this process."""
    paths: list[str] = []
    read_file = revisions._read

    def record(path: Path, revision: str, what: str) -> bytes:
        paths.append(path.as_posix())
        return read_file(path, revision, what)

    monkeypatch.setattr(revisions, "_read", record)
    return paths


def test_a_search_that_was_killed_goes_on_and_reads_no_test_predictions(
    quick_project: Path, tmp_path: Path, read: list[str]
) -> None:
    page = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```shell\n(ordinal search .*?)```", page, re.S)
    search_command, study_command = block.splitlines()
    *command, _ = shlex.split(search_command)
    assert command[-1] == "--trials"
    (tmp_path / "go").unlink()
    with subprocess.Popen(
        [*command, "3"], cwd=quick_project, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        while len(lines(tmp_path / "trials.txt")) < 2:  # the second trial, which waits
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    (tmp_path / "go").touch()
    assert re.match(r"search: 1 of 3: recipe-\w{8}, rps 0\.\d{4}$", first.strip())

    run = run_in(quick_project, *command, "3")
    assert run.returncode == 0, run.stderr
    names = trials_in(quick_project)
    assert len(names) == 3
    ran = lines(tmp_path / "trials.txt")
    assert len(ran) == len(set(ran)) == 3
    assert all(line.endswith(" 0") for line in ran)  # the seed of trials
    assert set(read) == {"data/predictions/validation.parquet"}

    # The best trial is that of the validation rows.
    table = pd.read_csv(quick_project / "metrics/searches/recipe.csv")
    assert set(table["trial"]) == names
    assert list(table) == ["trial", "train.loss", "train.lr", "rps"]
    quality = (-(table["train.lr"] / 3e-4).map(math.log10).abs()).map(math.exp)
    quality /= 1 + (table["train.loss"] != "emd")
    assert quality.is_monotonic_decreasing
    assert (quick_project / "metrics/searches/recipe.svg").read_text().startswith("<?xml")
    best = table.iloc[0]
    assert f"To use the best one: dvc exp apply {best['trial']}" in run.stdout
    assert study_command in run.stdout

    # With all trials there, nothing is run, and the test predictions may be gone.
    lose_test_predictions(quick_project)
    end_workers(quick_project)
    again = run_in(quick_project, *command, "2", "--metric", "accuracy")
    assert again.returncode == 0, again.stderr
    assert lines(tmp_path / "trials.txt") == ran

    # The study compares the best trial with the committed parameters, with other seeds.
    study = yaml.safe_load((quick_project / "studies/recipe.yaml").read_text())
    assert study["variants"]["best"] == {name: best[name] for name in ("train.loss", "train.lr")}
    run = run_in(quick_project, *shlex.split(study_command), "--seeds", "1", "--jobs", "2")
    assert run.returncode == 0, run.stderr
    assert {line.split()[-1] for line in lines(tmp_path / "trials.txt")[3:]} == {"1"}


def lose_test_predictions(project: Path) -> None:
    """Remove the test predictions of all experiments from DVC's cache."""
    cache = project / ".dvc/cache/files/md5"
    for folder in cache.rglob("*.dir"):
        for file in read_json(folder):
            if file["relpath"] == "test.parquet":
                (cache / file["md5"][:2] / file["md5"][2:]).unlink(missing_ok=True)


def test_trials_that_fail_are_counted_and_not_repeated(quick_project: Path, tmp_path: Path) -> None:
    command = ["ordinal", "search", "quick", "--range", "train.loss=corn,coral", "--jobs", "2"]
    run = run_in(quick_project, *command)
    assert run.returncode == 0, run.stderr
    assert "quick-" in run.stdout
    assert ", failed\n" in run.stdout
    assert "The committed parameters are the best." in run.stdout
    assert not (quick_project / "studies/quick.yaml").exists()
    ran = lines(tmp_path / "trials.txt")
    assert len(ran) == 2
    end_workers(quick_project)
    assert run_in(quick_project, *command).returncode == 0
    assert lines(tmp_path / "trials.txt") == ran


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a b", "a b can't be the name of a search: use letters, digits and -"),
        ("losses", "studies/losses.yaml is a study that no search wrote: choose another name"),
    ],
)
def test_a_wrong_name_is_refused(name: str, message: str) -> None:
    assert message in the_error(run_in(ROOT, "ordinal", "search", name, "--range", LR))
