"""Predict many files into a folder: which files, the rows, and runs that are continued."""

import io
import json
import multiprocessing
import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

import pandas as pd
import psutil
import pyarrow as pa
import pytest

import ordinal
from ordinal.common.errors import UserError
from ordinal.prediction import parts
from ordinal.prediction.blocks import Block, Input, divide, find_inputs
from ordinal.prediction.folder import Worker, in_processes, predict_folder
from ordinal.prediction.parts import BAD_ROWS, Job, Options, Outcome, complete_files, predict_block
from ordinal.prediction.storage import files_below
from tests.buckets import Bucket
from tests.conftest import WORDS, run_in

ROWS = 30
COLUMNS = pa.schema([("id", pa.string()), ("review", pa.string())])
BAD = (7, 19)  # rows without a text


def reviews(number: int, rows: int = ROWS) -> pd.DataFrame:
    """A table of reviews, of which those of the rows `BAD` are blank."""
    draw = random.Random(number)
    words = ["room", "bed", "staff", "the", "was", *WORDS]
    texts = [" ".join(draw.choices(words, k=draw.randint(1, 12))) for _ in range(rows)]
    for row in BAD:
        texts[row - 1] = " "
    return pd.DataFrame({"id": [f"{number}-{row}" for row in range(rows)], "review": texts})


@dataclass(frozen=True)
class Place:
    """A folder with tables in `in`, and a model."""

    folder: Path
    model: Path
    tables: dict[str, pd.DataFrame]

    def predict(self, *options: str, names: Sequence[str] = ("in",)) -> str:
        """Run the command, which has to succeed, and return its summary."""
        run = run_in(self.folder, *self.command(*options, names=names))
        assert run.returncode == 0, run.stderr
        return run.stdout

    def error(self, *options: str, names: Sequence[str] = ("in",)) -> str:
        """Run the command, which has to fail with one line, and return that line."""
        run = run_in(self.folder, *self.command(*options, names=names))
        assert (run.returncode, run.stderr.count("\n")) == (1, 1), run.stderr
        return run.stderr

    def command(self, *options: str, names: Sequence[str] = ("in",)) -> list[str]:
        text = ["--text", "review", "--model", str(self.model), "--out", "out"]
        return ["ordinal", "predict", *names, *text, *options]

    def assert_complete(self) -> None:
        """Every row of the tables is in the output once, with the label that it has on its own."""
        found = pd.read_parquet(self.folder / "out").sort_values(["file", "row"])
        assert not found.duplicated(["file", "row"]).any()
        expected = pd.concat(
            [
                table.assign(file=name, row=range(1, len(table) + 1))
                for name, table in sorted(self.tables.items())
            ]
        )
        is_bad = expected["review"].str.isspace()
        bad = pd.read_parquet(self.folder / "out" / BAD_ROWS).sort_values(["file", "row"])
        assert set(bad["reason"]) == {"has no text: fill or remove it"}
        keys = ["file", "row"]
        assert bad[keys].to_numpy().tolist() == expected[is_bad][keys].to_numpy().tolist()
        expected = expected[~is_bad]
        columns = [*keys, "id", "review"]
        assert found[columns].to_numpy().tolist() == expected[columns].to_numpy().tolist()
        predictions = ordinal.load(self.model).predict(expected["review"].tolist())
        assert found["label"].tolist() == [one.label for one in predictions]


@pytest.fixture
def place(tmp_path: Path, tiny_model: Path) -> Place:
    (tmp_path / "in/more").mkdir(parents=True)
    tables = {}
    for number, name in enumerate(("a.csv", "b.jsonl", "c.parquet", "more/a.csv.gz")):
        path, table = tmp_path / "in" / name, reviews(number)
        if name.endswith("jsonl"):
            table.to_json(path, orient="records", lines=True)
        elif name.endswith("parquet"):
            table.to_parquet(path)
        else:
            table.to_csv(path, index=False)
        tables[f"in/{name}"] = table
    (tmp_path / "in/notes.md").write_text("no table")
    (tmp_path / "in/.hidden.csv").write_text("no table")
    return Place(tmp_path, tiny_model, tables)


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the content and the time of change of each part in a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*.parquet")
    }


def test_a_folder_is_predicted_and_a_second_run_skips_it(place: Place) -> None:
    summary = place.predict()
    assert summary == (
        "112 rows predicted, 0 skipped (predicted before), 8 bad (listed in out/_bad_rows)\n"
    )
    place.assert_complete()
    before = files_of(place.folder / "out")
    again = place.predict()
    assert again == (
        "0 rows predicted, 112 skipped (predicted before), 8 bad (listed in out/_bad_rows)\n"
    )
    assert files_of(place.folder / "out") == before


def test_files_folders_and_patterns_are_each_predicted_once(place: Place) -> None:
    names = ("in/*.csv", "./in/a.csv", "in/b.jsonl", "in/c.parquet", "in/more")
    place.predict(names=names)
    place.assert_complete()


def test_names_of_the_same_file_and_folder_are_recognized(place: Place) -> None:
    out = str(place.folder / "out")
    names = (".", "in", str(place.folder / "in/a.csv"))
    for _ in range(2):
        found = find_inputs([str(place.folder / name) for name in names], out)
        assert len(found) == len({file.id for file in found}) == len(place.tables)
        (place.folder / "out").mkdir(exist_ok=True)
        (place.folder / "out/part.parquet").touch()
    (place.folder / "out/part.parquet").unlink()
    place.predict("--out", out, names=names)
    assert len(pd.read_parquet(out)) == 112


def test_the_text_column_must_be_named(place: Place) -> None:
    run = run_in(
        place.folder, "ordinal", "predict", "in", "--model", str(place.model), "--out", "out"
    )
    assert run.stderr == "error: the files need the name of their text column: add --text\n"


def test_a_file_that_could_not_be_read_may_be_removed(place: Place) -> None:
    broken = place.folder / "in/0.csv"  # the first one
    broken.write_text("text\nno column review\n")
    assert "1 of the files can't be read: in/0.csv: no column 'review'" in place.error()
    broken.unlink()
    place.predict()
    place.assert_complete()


def test_a_run_that_leaves_rows_out_fails(place: Place) -> None:
    with pytest.raises(UserError, match=r"lacks predictions of \S+/in/a.csv: check that all"):
        predict_folder(
            [str(place.folder / "in/a.csv")],
            place.model,
            None,
            Options(["review"]),
            str(place.folder / "out"),
            lambda worker, files: nullcontext(iter([])),
        )


def test_columns_can_be_chosen(place: Place) -> None:
    place.predict("--keep", "id")
    assert list(pd.read_parquet(place.folder / "out"))[-2:] == ["p_superb", "id"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--coverage", "0.8"), "--coverage"),
        (("--keep", "id"), "--keep"),
        (("--format", "encoding=cp1252"), "--format"),
        (("--text", "id"), "--text"),
    ],
)
def test_other_options_do_not_mix(place: Place, options: tuple[str, ...], name: str) -> None:
    place.predict(names=["in/a.csv"])
    before = files_of(place.folder / "out")
    said = place.error(*options, names=["in/a.csv"])
    assert said == (
        f"error: --out out has predictions with another {name}: choose another folder, or delete "
        "this one\n"
    )
    assert files_of(place.folder / "out") == before


def test_another_model_does_not_mix(place: Place, tmp_path: Path) -> None:
    place.predict(names=["in/a.csv"])
    other = tmp_path / "other"
    other.mkdir()
    for path in place.model.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    calibration = json.loads((other / "calibration.json").read_text())
    (other / "calibration.json").write_text(json.dumps(calibration | {"temperature": 2.0}))
    said = place.error("--model", str(other), names=["in/a.csv"])
    assert "--out out has predictions with another model: choose another folder" in said


def test_another_precise_model_does_not_mix(place: Place) -> None:
    place.predict(names=["in/a.csv"])
    said = place.error("--precise", str(place.model), names=["in/a.csv"])
    assert "--out out has predictions with another model for --precise: choose another" in said


def test_a_run_that_predicted_nothing_leaves_no_trace(place: Place) -> None:
    """The model of the first run can't be loaded, and that of the second one is another."""
    (place.folder / "broken").mkdir()
    assert "broken is not a model folder: it has no config.json" in place.error("--model", "broken")
    place.predict()
    place.assert_complete()


def test_a_changed_file_is_predicted_again_and_a_new_one_is_added(place: Place) -> None:
    place.predict(names=["in/a.csv", "in/b.jsonl"])
    before = files_of(place.folder / "out")
    changed = reviews(9)
    changed.to_csv(place.folder / "in/a.csv", index=False)
    place.tables["in/a.csv"] = changed
    run = run_in(place.folder, *place.command())
    assert run.stderr == "in/a.csv has changed and is predicted again\n"
    assert run.stdout.startswith("84 rows predicted, 28 skipped")
    place.assert_complete()
    after = files_of(place.folder / "out")
    kept = {name: state for name, state in before.items() if "b-" in name}
    assert len(kept) == 2
    assert kept.items() <= after.items()


def test_a_folder_with_other_results_is_refused(place: Place) -> None:
    place.predict(names=["in/a.csv", "in/b.jsonl"])
    said = place.error(names=["in/b.jsonl"])
    assert "has predictions of in/a.csv, which is not among the files now: name it, too" in said
    (place.folder / "out/_manifest.json").write_text("[")
    assert "out/_manifest.json is damaged: delete the folder out" in place.error()
    (place.folder / "out/_manifest.json").unlink()
    assert "--out out has other files: choose an empty or a new folder" in place.error()


def test_a_file_that_can_not_be_read_does_not_stop_the_others(place: Place) -> None:
    (place.folder / "in/d.csv").write_text("text\ngood\n")
    (place.folder / "in/e.csv").write_text("id,review,stars\n1,good,4\n")
    table = pd.DataFrame({"id": [1.5], "review": ["good"]})
    table.to_json(place.folder / "in/f.jsonl", orient="records", lines=True)
    run = run_in(place.folder, *place.command())
    assert run.returncode == 1
    assert run.stdout.startswith("113 rows predicted")
    assert run.stderr == (
        "error: 2 of the files can't be read: in/d.csv: no column 'review'; it has 'text'; "
        "in/e.csv: the first file has no column 'stars': choose the columns to return with --keep, "
        "or predict this file into another folder\n"
    )


def test_a_column_of_another_type_is_reported(place: Place) -> None:
    for name, value in (("f.jsonl", 1), ("g.jsonl", "x")):
        table = pd.DataFrame({"id": [value], "review": ["good"]})
        table.to_json(place.folder / "in" / name, orient="records", lines=True)
    said = run_in(place.folder, *place.command(names=["in/f.jsonl", "in/g.jsonl"]))
    assert said.returncode == 1
    assert "in/g.jsonl: a column has another type than in the first file (" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "--text", "review"], "in is a folder: name a file in it, or name a folder for the"),
        (["in/a.csv", "in/b.jsonl", "--text", "review"], "in/a.csv is not the only local file: n"),
        (["gone", "--text", "review", "--out", "o"], "gone: there are no such files: check the n"),
        (["in/*.x", "--text", "review", "--out", "o"], "in/*.x: there are no such files: check"),
        (["empty", "--text", "review", "--out", "o"], "empty: there are no such files with tables"),
        (["in", "--text", "review", "--out", "o.csv"], "in is a folder: name a file in it, or"),
        (["in/a.csv", "--text", "review", "--workers", "2"], "--workers and --ray need files, --t"),
        (["good", "--ray", "auto"], "--workers and --ray need files, --text, and a folder for"),
        (["ftp://x/y", "--text", "a", "--out", "o"], "ftp://x/y: ftp:// is not supported: use a"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(
    place: Place, arguments: list[str], message: str
) -> None:
    (place.folder / "empty").mkdir()
    command = ("ordinal", "predict", *arguments, "--model", str(place.model))
    run = run_in(place.folder, *command)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"error: {message}")
    assert run.stderr.count("\n") == 1
    assert not (place.folder / "o").exists()


def test_the_parts_of_a_file_are_shared_by_blocks(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any order, and with other blocks than those of the run before."""
    monkeypatch.setattr(parts, "ROWS_PER_PART", 8)
    monkeypatch.setattr("ordinal.prediction.inputs.ROWS_PER_CHUNK", 5)
    monkeypatch.chdir(place.folder)
    files = find_inputs(["in"], "out")
    predictor = ordinal.load(place.model)
    job = Job("out", Options(["review"]), COLUMNS)
    for file in files:
        predict_block(predictor, Block(file, 1, 3), job)
    assert complete_files(files_below("out")) == set()
    before = files_of(Path("out"))
    assert len([name for name in before if "/" not in name]) == 4
    for file in files:
        for block in (Block(file, 1, 2), Block(file, 0, 2)):
            predict_block(predictor, block, job)
    assert complete_files(files_below("out")) == {file.id for file in files}
    assert before.items() <= files_of(Path("out")).items()
    place.assert_complete()


def test_files_are_divided_by_their_size() -> None:
    small, large = Input("s", 1 << 20, "s"), Input("l", 100 << 20, "l")
    assert divide([small, small], 8) == [Block(small), Block(small)]
    blocks = divide([small, large], 4)
    assert blocks == [Block(small), *(Block(large, first, 4) for first in range(4))]
    assert divide([Input("e", 0, "e")], 4) == [Block(Input("e", 0, "e"))]


def test_a_file_is_complete_with_all_of_its_parts() -> None:
    files = ["a-0-00000.parquet", "a-0-00001-last.parquet", "b-0-00000-last.parquet"]
    assert complete_files(files) == {"a-0", "b-0"}
    assert complete_files(files[1:]) == {"b-0"}
    assert complete_files(files[:1]) == set()
    assert complete_files([".a-0-00000-last.parquet.x.draft/a-0-00000-last.parquet"]) == set()


# Runs that are killed

# Each process is a copy of one that has imported this module, which saves seconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "ordinal.model.classifier"])


def pause_at(place: Place, moment: int, is_done: bool, here: Connection) -> NoReturn:
    """Run the command until it renames its n-th file, and wait before or after that."""
    rename, renamed = Path.replace, 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal renamed
        renamed += 1
        if renamed == moment and not is_done:
            here.send(self.name)
            signal.pause()
        result = rename(self, target)
        if renamed == moment and is_done:
            here.send(self.name)
            signal.pause()
        return result

    Path.replace = replace  # type: ignore[method-assign]
    run = run_in(place.folder, *place.command("--workers", "1"))
    raise AssertionError(f"ended before that: {run}")


def kill_at(place: Place, moment: int, is_done: bool) -> str:
    """Kill a run at a moment, and return the name of the file that it renamed then."""
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=pause_at, args=(place, moment, is_done, sender))
    process.start()
    sender.close()
    name: str = receiver.recv()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return name


def test_a_run_that_is_killed_three_times_is_completed(place: Place) -> None:
    out = place.folder / "out"
    assert kill_at(place, 1, is_done=False) == "_manifest.json"
    assert files_of(out) == {}
    # The bad rows of the first file are there, and its predictions are about to be.
    assert kill_at(place, 3, is_done=False).startswith("a-")
    assert [name.partition("/")[0] for name in finished(out)] == [BAD_ROWS]
    # The first file is finished, and the bad rows of the second one are there.
    assert kill_at(place, 4, is_done=True).startswith("b-")
    before = finished(out)
    assert len(before) == 3
    assert place.predict().startswith("84 rows predicted, 28 skipped (predicted before), 8 bad")
    place.assert_complete()
    own = [name for name in before if not name.startswith(BAD_ROWS)]
    assert {name: finished(out)[name] for name in own} == {name: before[name] for name in own}
    assert not list(out.rglob("*.draft"))


def finished(out: Path) -> dict[str, tuple[bytes, int]]:
    """Return the state of the parts under their final names."""
    return {name: state for name, state in files_of(out).items() if ".draft" not in name}


# Several processes


def in_two_processes(place: Place) -> None:
    run_in(place.folder, *place.command("--workers", "2"))


@pytest.mark.slow
def test_several_processes_predict_the_same_and_end_with_the_command(place: Place) -> None:
    process = PROCESSES.Process(target=in_two_processes, args=(place,))
    process.start()
    while len(children := psutil.Process(process.pid).children()) < 2:
        process.join(0.05)
        assert process.is_alive()
    process.kill()
    process.join()
    psutil.wait_procs(children)
    assert "rows predicted" in place.predict("--workers", "2")
    place.assert_complete()


class Dying(Worker):
    """A worker whose process is killed."""

    def __call__(self, block: Block) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@pytest.mark.slow
def test_a_process_that_is_killed_is_reported(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    worker = Dying(place.model, None, Job("out", Options(["review"]), COLUMNS))
    with (
        pytest.raises(UserError, match="a process of the prediction was killed, perhaps for lack"),
        in_processes(2, worker, find_inputs(["in"], "out")) as outcomes,
    ):
        list(outcomes)


class Terminal(io.StringIO):
    """A terminal that keeps what it is sent."""

    def isatty(self) -> bool:
        return True


def test_the_progress_is_shown_where_a_run_sends_stderr(place: Place) -> None:
    terminal = Terminal()

    @contextmanager
    def run(worker: Worker, files: Sequence[Input]) -> Iterator[Iterator[Outcome]]:
        with redirect_stderr(terminal):  # as that of Ray does
            yield map(worker, divide(files, 1))

    options = Options(["review"])
    names = [str(place.folder / "in")]
    predict_folder(names, place.model, None, options, str(place.folder / "out"), run)
    assert terminal.getvalue().startswith("\rpredict:   0%")
    assert "predict: 100%" in terminal.getvalue()


# Buckets


def test_a_bucket_is_predicted_into_a_bucket(place: Place, bucket: Bucket) -> None:
    for name in place.tables:
        bucket.put((place.folder / name).read_bytes(), f"folder/{name}")
    bucket.put(b"no table", "folder/in/notes.md")
    command = ["ordinal", "predict", "s3://stays/folder/in", "--text", "review"]
    command += ["--model", str(place.model), "--out", "s3://stays/folder/in/out"]
    for summary in ("112 rows predicted, 0 skipped", "0 rows predicted, 112 skipped"):
        run = run_in(place.folder, *command)
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.startswith(summary)
    found = bucket.client.list_objects_v2(Bucket="stays", Prefix="folder/in/out/")["Contents"]
    for entry in found:
        path = place.folder / "out" / entry["Key"].removeprefix("folder/in/out/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.client.get_object(Bucket="stays", Key=entry["Key"])["Body"].read())
    tables = {f"s3://stays/folder/{name}": table for name, table in place.tables.items()}
    Place(place.folder, place.model, tables).assert_complete()
    run = run_in(place.folder, *command[:2], "s3://stays/gone", *command[3:])
    assert run.stderr == "error: s3://stays/gone: there are no such files: check the name\n"
    changed = reviews(9).to_csv(index=False).encode()
    bucket.put(changed, "folder/in/a.csv")
    run = run_in(place.folder, *command)
    assert run.stderr == "s3://stays/folder/in/a.csv has changed and is predicted again\n"
    assert run.stdout.startswith("28 rows predicted, 84 skipped (predicted before), 8 bad")
