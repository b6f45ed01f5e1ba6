"""Data sets of the hub, on a loopback server: what is read from them, and what is refused."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from ordinal.common.files import read_json
from ordinal.sources.hub_data import parts_of
from tests.conftest import WORDS, results_of, run_all_stages, run_in, set_params
from tests.hub import COMMIT, LATER, DataSet, Rows, as_parquet
from tests.loopback import Answer, Loopback
from tests.sources.conftest import files_in, no_network, the_error

DOWNLOAD = ("python", "-m", "stages.download")
SPLIT = ("python", "-m", "stages.split")
NAME = "someone/stays"
NAMES = ["1 star", "2 star", "3 stars", "4 stars", "5 stars"]
SIZES = {"train": 60, "validation": 15, "test": 25}


def rows(part: str = "train") -> list[tuple[str, int]]:
    """Return reviews with 1 to 5 stars, of which no two are the same."""
    return [
        (f"a {WORDS[number % 5]} {part} {number}", number % 5 + 1) for number in range(SIZES[part])
    ]


def as_csv(given: Rows, separator: str = ",") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator).writerows([("text", "label"), *given])
    return file.getvalue().encode()


def as_json_lines(given: Rows) -> bytes:
    lines = [json.dumps({"text": text, "label": label}) for text, label in given]
    return "".join(f"{line}\n" for line in lines).encode()


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "csv": as_csv,
    "jsonl": as_json_lines,
    "parquet": as_parquet,
}


@pytest.fixture
def stays(online: Loopback) -> DataSet:
    return DataSet(online, NAME)


def choose(place: Path, **changes: object) -> None:
    """Set the parameters of a project to the data set of the server."""
    values = {"name": f"hub:{NAME}", "revision": COMMIT, "text": "text", "label": "label"}
    set_params(place, {f"data.{key}": value for key, value in (values | changes).items()})


def downloaded(place: Path) -> list[dict[str, Any]]:
    """Run the stage, and return the rows that it has written."""
    run = run_in(place, *DOWNLOAD)
    assert run.returncode == 0, run.stderr
    written: list[dict[str, Any]] = pq.read_table(place / "data/raw/reviews.parquet").to_pylist()
    return written


def error_of(place: Path, **environment: str) -> str:
    """Run the stage, which must fail and leave nothing behind, and return its one sentence."""
    before = files_in(place / "data")
    error = the_error(run_in(place, *DOWNLOAD, **environment))
    assert files_in(place / "data") == before
    return error


# What is read


@pytest.mark.parametrize("kind", WRITERS)
def test_official_splits_become_parts(kind: str, stays: DataSet, place: Path) -> None:
    write = WRITERS[kind]
    stays.publish({f"data/{part}.{kind}": write(rows(part)) for part in SIZES}, COMMIT)
    choose(place)
    expected = [
        {"text": text, "label": stars - 1, "part": part}
        for part in SIZES
        for text, stars in rows(part)
    ]
    assert downloaded(place) == expected
    facts = read_json(place / "data/raw/facts.json")
    assert facts["name"] == NAME
    assert facts["revision"] == COMMIT
    assert facts["labels"] == ["1", "2", "3", "4", "5"]
    assert facts["rows_per_part"] == SIZES
    assert facts["splits"] == {part: part for part in SIZES}
    assert list(facts["checksums"]) == [f"data/{part}.{kind}" for part in SIZES]
    run = run_in(place, *SPLIT)
    assert run.returncode == 0, run.stderr
    assert len(pq.read_table(place / "data/split/train.parquet")) == 70


@pytest.mark.parametrize("kind", WRITERS)
def test_a_data_set_without_splits_has_no_parts(kind: str, stays: DataSet, place: Path) -> None:
    stays.publish({f"reviews.{kind}": WRITERS[kind](rows())}, COMMIT)
    choose(place)
    assert downloaded(place) == [{"text": text, "label": stars - 1} for text, stars in rows()]
    assert "rows_per_part" not in read_json(place / "data/raw/facts.json")


def test_the_rows_are_those_of_the_library(stays: DataSet, place: Path, tmp_path: Path) -> None:
    import datasets

    readme = b"""---
license: cc-by-4.0
configs:
- config_name: hotels
  data_files:
  - {split: train, path: "hotels/a-*.csv"}
  - {split: dev, path: hotels/late.csv}
  sep: ";"
- config_name: others
  data_files: others.csv
---
"""
    files = {
        "README.md": readme,
        "hotels/a-2.csv": as_csv(rows("test"), ";"),
        "hotels/a-1.csv": as_csv(rows("train"), ";"),
        "hotels/late.csv": as_csv(rows("validation"), ";"),
        "others.csv": as_csv([("a text", 1), ("another", 2)]),
    }
    stays.publish(files, COMMIT)
    for file, content in files.items():
        (tmp_path / "here" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / file).write_bytes(content)
    choose(place, config="hotels")
    written = downloaded(place)
    theirs = datasets.load_dataset(
        str(tmp_path / "here"), "hotels", streaming=True, cache_dir=str(tmp_path / "cache")
    )
    assert written == [
        {"text": row["text"], "label": row["label"] - 1, "part": part}
        for split, part in {"train": "train", "dev": "validation"}.items()
        for row in theirs[split]
    ]
    assert read_json(place / "data/raw/facts.json")["licence"] == "cc-by-4.0"


def test_texts_that_look_like_numbers_or_missing_values_stay(stays: DataSet, place: Path) -> None:
    given = [("007", 1), ("N/A", 2), ("None", 1), ("1e3", 2)]
    stays.publish({"train.csv": as_csv(given)}, COMMIT)
    choose(place)
    assert [row["text"] for row in downloaded(place)] == ["007", "N/A", "None", "1e3"]


CLASSES_IN_README = """---
dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
"""


def readme_with(names: Sequence[str]) -> bytes:
    lines = [f"          '{number}': {name}\n" for number, name in enumerate(names)]
    return f"{CLASSES_IN_README}{''.join(lines)}---\n".encode()


def test_the_names_of_classes_in_parquet_become_labels(stays: DataSet, place: Path) -> None:
    numbers = [(text, stars - 1) for text, stars in rows()]
    stays.publish({"train.parquet": as_parquet(numbers, NAMES)}, COMMIT)
    choose(place)
    assert [row["label"] for row in downloaded(place)] == [number for _, number in numbers]
    assert read_json(place / "data/raw/facts.json")["labels"] == NAMES


@pytest.mark.parametrize("kind", WRITERS)
def test_the_names_of_classes_in_the_readme_become_labels(
    kind: str, stays: DataSet, place: Path
) -> None:
    names = ["low", "medium", "high"]
    given = [("a", 0), ("b", 2), ("c", 1), ("d", 0)]
    files = {"README.md": readme_with(names), f"train.{kind}": WRITERS[kind](given)}
    stays.publish(files, COMMIT)
    choose(place)
    assert [row["label"] for row in downloaded(place)] == [0, 2, 1, 0]
    assert read_json(place / "data/raw/facts.json")["labels"] == names


def test_names_in_the_cells_and_missing_labels_are_understood(stays: DataSet, place: Path) -> None:
    given = [("a", "low"), ("b", "-1"), ("c", "1"), ("d", "high")]
    files = {"README.md": readme_with(["low", "medium", "high"]), "train.csv": as_csv(given)}
    stays.publish(files, COMMIT)
    choose(place)
    assert "train.csv, row 2 (not counting the header): column 'label': the label is empty" in (
        error_of(place)
    )
    choose(place, missing="drop")
    assert [row["label"] for row in downloaded(place)] == [0, 1, 2]


def test_a_class_that_does_not_exist_is_refused(stays: DataSet, place: Path) -> None:
    names = ["1", "2", "3", "4", "5"]
    given = [*((str(number), number) for number in range(5)), ("a", 5)]
    stays.publish({"train.parquet": as_parquet(given, names)}, COMMIT)
    choose(place)
    assert "'class 5' is not a known label; known are 1, 2, 3, 4, 5" in error_of(place)


def test_splits_with_other_names_are_left_out_and_named(stays: DataSet, place: Path) -> None:
    readme = b"""---
configs:
- config_name: default
  data_files:
  - {split: train, path: a.csv}
  - {split: unsupervised, path: b.csv}
  - {split: test, path: c.csv}
---
"""
    files = {"a.csv": as_csv(rows("train")), "b.csv": b"text\n", "c.csv": as_csv(rows("test"))}
    stays.publish({"README.md": readme, **files}, COMMIT)
    choose(place)
    assert "download: splits left out: unsupervised\n" in run_in(place, *DOWNLOAD).stdout
    assert {row["part"] for row in downloaded(place)} == {"train", "test"}
    assert read_json(place / "data/raw/facts.json")["splits_left_out"] == ["unsupervised"]
    assert stays.path_of("b.csv") not in stays.server.asked


def test_the_usual_names_of_splits_are_known() -> None:
    for name in ("validation", "valid", "val", "dev"):
        assert parts_of(["train", name, "test"])[name] == "validation"
    assert parts_of(["full"]) == {"full": None}


def test_a_moved_branch_changes_nothing(stays: DataSet, place: Path) -> None:
    stays.publish({"train.csv": as_csv(rows())}, COMMIT)
    choose(place)
    downloaded(place)
    before = files_in(place / "data/raw")
    stays.publish({"train.csv": as_csv(rows("test"))}, LATER, "main")
    shutil.rmtree(place / "data/raw")
    downloaded(place)
    assert files_in(place / "data/raw") == before


def test_a_private_data_set_needs_a_token_which_no_other_host_sees(
    online: Loopback, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays = DataSet(online, NAME, token="hf_secret")
    stays.publish({"README.md": b"", "train.parquet": as_parquet(rows())}, COMMIT)
    choose(place)
    error = error_of(place)
    assert "the hub has no such data set, or it is private" in error
    assert "check the name, or set HF_TOKEN to a token that may read it" in error
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "it is private" in (error := error_of(place))
    assert "hf_wrong" not in error
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert len(downloaded(place)) == 60
    tokens = {path: headers.get("Authorization") for path, headers in online.headers.items()}
    assert tokens[stays.path_of("train.parquet")] == "Bearer hf_secret"
    assert [token for path, token in tokens.items() if path.startswith("/store/")] == [None]


def test_the_environment_names_the_hub_and_nothing_is_cached(
    stays: DataSet, project: Path, tmp_path: Path
) -> None:
    stays.publish({"README.md": b"", "train.parquet": as_parquet(rows())}, COMMIT)
    choose(project)
    home = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": stays.server.url}
    run = run_in(project, *DOWNLOAD, HF_HUB_OFFLINE="0", **home)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.splitlines()[1] == (
        f"download: 60 reviews of hub:{NAME}, dropped: {{'blank rows': 0}}"
    )
    assert not (tmp_path / "hub").exists()


# What is refused


def test_without_a_commit_the_one_to_use_is_named(stays: DataSet, place: Path) -> None:
    stays.publish({"train.csv": as_csv(rows())}, COMMIT)
    stays.publish({"train.csv": as_csv(rows())}, COMMIT, "main", "refs/pr/1")
    choose(place, revision=None)
    use = f"): set data.revision to {COMMIT}, the commit that it has now, or"
    assert f"(no commit is given{use}" in error_of(place)
    for branch in ("main", "refs/pr/1"):
        choose(place, revision=branch)
        assert f"({branch} is not a commit of 40 digits{use}" in error_of(place)


@pytest.mark.parametrize("revision", ["f" * 40, "v2"])
def test_an_unknown_commit_is_refused(revision: str, stays: DataSet, place: Path) -> None:
    stays.publish({"train.csv": as_csv(rows())}, COMMIT)
    choose(place, revision=revision)
    error = error_of(place)
    assert f"(it has no commit, branch or tag {revision}): set data.revision to a commit" in error
    assert f"such as {COMMIT}, which is the newest" in error


def test_an_unknown_name_is_refused(online: Loopback, place: Path) -> None:
    choose(place)
    assert f"data set 'hub:{NAME}' was not downloaded (the hub has no such data set, or it is " in (
        error_of(place)
    )
    for name in ("hub:stays", "hub:a/b/c", "hub:", "hub:a/b@main"):
        choose(place, name=name)
        assert f"data.name is '{name}': write hub:OWNER/NAME" in error_of(place)


API = f"/api/datasets/{NAME}/revision/{COMMIT}?blobs=true"


@pytest.mark.parametrize(
    ("answer", "reason", "advice"),
    [
        (Answer(403, headers={"X-Error-Code": "GatedRepo"}), "access to it is restricted", "ask"),
        (Answer(403), "403 Forbidden", "check who may read it"),
        (Answer(429), "429 Too Many Requests", "try again later"),
        (Answer(503), "503 Service Unavailable", "try again later"),
        (Answer(body=b"<html>"), "no answer of the hub: ", "check HF_ENDPOINT"),
        (
            Answer(body=json.dumps({"id": NAME, "sha": LATER}).encode()),
            f"the hub does not confirm commit {COMMIT}",
            "check HF_ENDPOINT",
        ),
        (
            Answer(body=f'{{"id":"","sha":"{COMMIT}","siblings":[{{"rfilename":"a"}}]}}'.encode()),
            "the hub states no hash of a",
            "check HF_ENDPOINT",
        ),
        (
            Answer(
                body=json.dumps(
                    {"id": "", "sha": COMMIT, "siblings": [{"rfilename": "../a", "blobId": "0"}]}
                ).encode()
            ),
            "the hub lists the file '../a'",
            "check HF_ENDPOINT",
        ),
    ],
    ids=["gated", "403", "429", "503", "HTML", "another commit", "no hash", "outside"],
)
def test_a_hub_that_does_not_answer_as_it_should_is_named_by_cause(
    online: Loopback, place: Path, no_pauses: None, answer: Answer, reason: str, advice: str
) -> None:
    online.answer(API, answer)
    choose(place)
    error = error_of(place)
    assert f"data set 'hub:{NAME}' was not downloaded ({reason}" in error
    assert f"): {advice}" in error


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(body=as_csv(rows()), sends=100), "train.csv: connection lost): try again later"),
        (Answer(body=as_csv(rows())[:100]), "train.csv: checksum mismatch: git-blob is "),
        (Answer(404), "train.csv: 404 Not Found): check the URL"),
        (Answer(500), "train.csv: 500 Internal Server Error): try again later"),
    ],
    ids=["cut", "short", "404", "500"],
)
def test_a_truncated_or_missing_file_is_refused(
    stays: DataSet, place: Path, no_pauses: None, answer: Answer, reason: str
) -> None:
    stays.publish({"train.csv": as_csv(rows())}, COMMIT)
    stays.server.answer(stays.path_of("train.csv"), answer)
    choose(place)
    assert reason in error_of(place)


def test_offline_nothing_is_asked(
    stays: DataSet, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays.publish({"train.csv": as_csv(rows())}, COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    choose(place)
    assert "was not downloaded (HF_HUB_OFFLINE is set): unset it, or " in error_of(place)
    assert stays.server.asked == []


def test_without_a_network_the_stage_ends_within_seconds(project: Path, closed_port: str) -> None:
    choose(project)
    network = no_network(closed_port) | {"HF_ENDPOINT": "https://localtest.invalid"}
    error = error_of(project, **network)
    assert "no network: the host refuses connections): check the network, or " in error


CONFIGS = b"""---
configs:
- {config_name: hotels, data_files: hotels.csv}
- {config_name: courses, data_files: courses.csv}
---
"""


def test_one_of_several_configurations_must_be_chosen(stays: DataSet, place: Path) -> None:
    files = {"hotels.csv": as_csv(rows()), "courses.csv": as_csv(rows("test"))}
    stays.publish({"README.md": CONFIGS, **files}, COMMIT)
    has = "(it has the configurations 'hotels', 'courses', and "
    choose(place)
    advice = "): set data.config to one of them"
    assert f"{has}data.config is not set{advice}" in error_of(place)
    choose(place, config="hotel")
    assert f"{has}'hotel' is none of them{advice}" in error_of(place)
    choose(place, config="courses")
    assert len(downloaded(place)) == 25


def configured(setting: str) -> bytes:
    return f"---\nconfigs:\n- {{config_name: default, {setting}}}\n---\n".encode()


REFUSED: dict[str, tuple[Mapping[str, bytes], str]] = {
    "script": (
        {"stays.py": b"raise SystemExit", "train.csv": as_csv(rows())},
        "it is published as a program, stays.py, which is never run): use the commit of its branch",
    ),
    "no files": ({"README.md": b"# Stays\n"}, "`datasets` can't use it: "),
    "pictures": ({"a/1.png": b"", "a/2.png": b""}, "are of the kind 'imagefolder', which are not"),
    "absolute": (
        {"README.md": configured("data_files: /etc/hostname"), "train.csv": as_csv(rows())},
        "its README.md names '/etc/hostname', outside of it",
    ),
    "above": (
        {"README.md": configured("data_files: a/../../*.csv"), "train.csv": as_csv(rows())},
        "its README.md names 'a/../../*.csv', outside of it",
    ),
    "another place": (
        {"README.md": configured("data_files: 'hf://datasets/a/b/c.csv'"), "train.csv": b""},
        "its README.md names 'hf://datasets/a/b/c.csv', outside of it",
    ),
    "bad README": (
        {"README.md": b"---\nconfigs: [\n---\n", "train.csv": as_csv(rows())},
        "the metadata of its README.md are damaged (",
    ),
    "options": (
        {"README.md": configured("data_files: a.csv, names: [a, b]"), "a.csv": as_csv(rows())},
        "its configuration sets names",
    ),
    "strange splits": (
        {
            "README.md": configured(
                "data_files: [{split: a, path: a.csv}, {split: b, path: b.csv}]"
            ),
            "a.csv": as_csv(rows()),
            "b.csv": as_csv(rows()),
        },
        "its splits 'a', 'b' are not train, validation and test",
    ),
    "one part twice": (
        {
            "README.md": configured(
                "data_files: [{split: train, path: a.csv}, {split: dev, path: b.csv}, "
                "{split: val, path: c.csv}]"
            ),
            **dict.fromkeys(("a.csv", "b.csv", "c.csv"), as_csv(rows())),
        },
        "its splits 'train', 'dev', 'val' are not train, validation and test",
    ),
    "no such column": (
        {"train.csv": b"review,stars\na,1\nb,2\n"},
        f"hub:{NAME}, train.csv: no column 'label'; it has 'review', 'stars'",
    ),
    "bad label": (
        {"train.csv": as_csv([("a", 1), ("b", 2), ("c", "four")])},
        f"hub:{NAME}, train.csv, row 3 (not counting the header): label 'four' is not a whole num",
    ),
    "not Parquet": (
        {"train.parquet": b"PAR1 but no more"},
        f"hub:{NAME}, train.parquet: ",
    ),
    "another order": (
        {"train.parquet": as_parquet([("a", 0), ("b", 1)], ["high", "low"])},
        "has the classes high, low, which are not in the order of a scale: list them from lowest",
    ),
    "pos before neg": (
        {"train.parquet": as_parquet([("a", 0), ("b", 1)], ["pos", "neg"])},
        "has the classes pos, neg, which are not in the order of a scale",
    ),
    "alphabet": (
        {"train.parquet": as_parquet([("a", 0), ("b", 1), ("c", 2)], ["art", "golf", "war"])},
        "has the classes art, golf, war, which are not in the order of a scale",
    ),
    "one class": (
        {"train.parquet": as_parquet([("a", 0), ("b", 0)], ["all"])},
        "has the classes all: two or more different ones are needed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_data_set_that_can_not_be_used_is_refused(case: str, stays: DataSet, place: Path) -> None:
    files, reason = REFUSED[case]
    stays.publish(files, COMMIT)
    choose(place)
    assert reason in error_of(place)


def test_the_columns_must_be_named(stays: DataSet, place: Path) -> None:
    choose(place, text=None)
    assert f"data.name is hub:{NAME}: name its columns with data.text" in error_of(place)
    assert stays.server.asked == []


# The whole pipeline


@pytest.mark.slow
def test_a_model_is_trained_and_a_second_run_gives_the_same_bytes(
    stays: DataSet, small_project: Path, tmp_path: Path
) -> None:
    numbers = {part: [(text, stars - 1) for text, stars in rows(part)] for part in SIZES}
    files = {
        f"data/{part}-00000-of-00001.parquet": as_parquet(numbers[part], NAMES) for part in SIZES
    }
    stays.publish(files, COMMIT)
    choose(small_project)
    hub = {
        "HF_ENDPOINT": stays.server.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path / "hub"),
    }
    run = run_in(small_project, "dvc", "repro", **hub)
    assert run.returncode == 0, run.stdout + run.stderr
    model = read_json(small_project / "models/ordinal/config.json")
    assert model["ordinal"]["labels"] == NAMES
    card = (small_project / "models/ordinal/README.md").read_text()
    assert f"{NAME}: data set {NAME} of the hub at commit {COMMIT}" in card
    before = results_of(small_project)
    run_all_stages(small_project)
    assert results_of(small_project) == before
