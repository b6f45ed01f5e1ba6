"""Bad input of every kind: a stage takes it, or refuses it in one sentence and changes nothing.

A case gives what the sentence has to contain: the file, column, row or value that is wrong.
"""

import gzip
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ordinal.common.errors import UserError
from ordinal.common.files import sha256
from ordinal.common.params import SECTIONS
from ordinal.sources import download
from ordinal.sources.catalog import ENCODER_FILES
from tests.conftest import ROOT, results_of, run_in, set_params
from tests.loopback import Answer, Loopback, serving

HEADER = "review,stars\n"
ROWS = "".join(f"room {number},{number % 5 + 1}\n" for number in range(120))
GOOD = HEADER + ROWS
LABELS = (1, 2, 3, 4, 5)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The files that `download` and `split` read besides a table, and results of an earlier run."""
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/facts.json").write_text("{}")
    shutil.copy(ROOT / "data/catalog.yaml", tmp_path / "data")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with pytest.MonkeyPatch.context() as patch, serving() as server:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        patch.setattr(download, "FIRST_PAUSE", 0)
        patch.setattr(download, "TIMEOUT", (5, 0.3))
        yield server


def run_stage(project: Path, stage: str) -> Any:
    return run_in(project, "python", "-m", f"stages.{stage}")


def refused(project: Path, stage: str, *command: str, **environment: str) -> str:
    """Run a stage (or a command), which must fail and change nothing; return its sentence."""
    before = results_of(project)
    run = run_in(project, *(command or ("python", "-m", f"stages.{stage}")), **environment)
    assert run.returncode == 1, run.stdout
    assert "Traceback" not in run.stdout + run.stderr
    assert run.stderr.startswith("error: ")
    assert run.stderr.endswith("\n")
    assert run.stderr[:-1].isprintable(), "not one line"
    assert results_of(project) == before
    return run.stderr


def taken(project: Path) -> dict[str, Any]:
    """Run `download`, which must succeed, and return the facts it writes."""
    run = run_stage(project, "download")
    assert run.returncode == 0, run.stderr
    facts: dict[str, Any] = json.loads((project / "data/raw/facts.json").read_text())
    return facts


def assert_contains(sentence: str, words: tuple[str, ...]) -> None:
    assert [word for word in words if word not in sentence] == [], sentence


# Tables: the name of the file, its content, and words of the sentence


def parquet(keep: int) -> bytes:
    """The first bytes of a Parquet file of reviews."""
    buffer = io.BytesIO()
    pq.write_table(
        pa.table({"review": [f"room {number}" for number in range(120)], "stars": [4, 5] * 60}),
        buffer,
    )
    return buffer.getvalue()[:keep]


def zipped(*names: str, encrypted: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, GOOD)
    content = bytearray(buffer.getvalue())
    if encrypted:
        content[content.index(b"PK\1\2") + 8] |= 1  # in the flags of the central directory
    return bytes(content)


def lines(bad: str) -> str:
    """Ten good lines of JSON, and one bad one."""
    good = [{"review": f"room {number}", "stars": number % 5 + 1} for number in range(10)]
    return "".join(json.dumps(row) + "\n" for row in good) + bad


BOMB = gzip.compress(f"{HEADER}{'a' * 80_000_000},1\n".encode(), 6)  # 80 MB in less than 100 kB

BAD_TABLES: dict[str, tuple[str, str | bytes, tuple[str, ...]]] = {
    "missing column": ("r.csv", "title,stars\n" + ROWS, ("r.csv", "'review'", "'title'")),
    "duplicate column": ("r.csv", "review,stars,stars\nfine,4,5\n", ("r.csv", "'stars'")),
    "Latin-1": ("r.csv", (HEADER + "café,4\n").encode("latin-1"), ("r.csv", "line 2", "UTF-8")),
    "HTML page": ("r.csv", "\n<!DOCTYPE html><html>Sign in</html>", ("r.csv", "HTML page")),
    "empty file": ("r.csv", "", ("r.csv", "empty")),
    "header only": ("r.csv", HEADER, ("r.csv", "no rows")),
    "open quotation mark": ("r.csv", GOOD + '"fine,4\n' + ROWS, ("r.csv", "row 121", "quotation")),
    "row too long": ("r.csv", GOOD + "good, really,4\n", ("r.csv", "row 121", "3 columns")),
    "row too short": ("r.csv", GOOD + "good\n", ("r.csv", "row 121", "'stars'", "empty")),
    "NUL byte": ("r.csv", GOOD + "go\0od,4\n", ("r.csv", "row 121", "'review'", "NUL")),
    "only NUL bytes": ("r.csv", b"\0" * 1000, ("r.csv", "first row", "header")),
    "blank text": ("r.csv", GOOD + " \t ,4\n", ("r.csv", "row 121", "'review'", "no text")),
    "labels in words": ("r.csv", HEADER + "a,good\nb,poor\n", ("r.csv", "row 1", "'good'")),
    "a third of a star": ("r.csv", GOOD + "fine,4.3\n", ("r.csv", "row 121", "'4.3'")),
    "a single half step": ("r.csv", GOOD + "fine,4.5\n", ("r.csv, row 121", "'4.5'", "map:")),
    "one class": ("r.csv", HEADER + "fine,4\n" * 20, ("r.csv", "'stars'", "4")),
    "1,001 classes": (
        "r.csv",
        HEADER + "".join(f"room,{n}\n" for n in range(1001)),
        ("r.csv", "'stars'", "1000", "data.label"),
    ),
    "control characters in a label": ("r.csv", HEADER + "good,\x1b[31m4\n", (r"'\x1b[31m4'",)),
    "compression bomb": ("r.csv.gz", BOMB, ("r.csv.gz", "unpack")),
    "truncated .gz": ("r.csv.gz", gzip.compress(GOOD.encode())[:-20], ("r.csv.gz", "ended")),
    ".zip that leaves its folder": ("r.csv.zip", zipped("../../x.csv"), ("'../../x.csv'",)),
    ".zip of two files": ("r.csv.zip", zipped("a.csv", "b.csv"), ("r.csv.zip", "2 files")),
    "encrypted .zip": ("r.csv.zip", zipped("r.csv", encrypted=True), ("r.csv.zip", "encrypted")),
    "truncated Parquet": ("r.parquet", parquet(keep=600), ("r.parquet", "Parquet")),
    "null text": ("r.jsonl", lines('{"review": null, "stars": 3}'), ("r.jsonl", "11", "'review'")),
    "null label": ("r.jsonl", lines('{"review": "a", "stars": null}'), ("r.jsonl", "'stars'")),
    "truncated JSON": ("r.jsonl", lines('{"review": "a", "st'), ("r.jsonl", "line 11")),
    "JSON that is no object": ("r.jsonl", lines('["a", 3]'), ("r.jsonl", "line 11", "object")),
    "duplicate key": ("r.jsonl", lines('{"stars": 3, "stars": 4}'), ("r.jsonl", "line 11", "key")),
    "deeply nested JSON": ("r.jsonl", lines("[" * 100_000), ("r.jsonl", "line 11", "nested")),
    "half a surrogate pair": (
        "r.jsonl",
        lines('{"review": "\\ud83d", "stars": 3}'),
        ("r.jsonl", "11", "'review'", "surrogate"),
    ),
}


def use_table(project: Path, name: str, content: str | bytes) -> None:
    """Write a table, and name it in params.yaml."""
    (project / name).write_bytes(content.encode() if isinstance(content, str) else content)
    set_params(project, {"data.name": name, "data.text": "review", "data.label": "stars"})


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused(case: str, workspace: Path) -> None:
    name, content, words = BAD_TABLES[case]
    use_table(workspace, name, content)
    assert_contains(refused(workspace, "download"), words)


@pytest.mark.parametrize(
    ("name", "content", "rows", "blank"),
    [
        pytest.param("r.csv", b"\xef\xbb\xbf" + GOOD.encode(), 120, 0, id="byte order mark"),
        pytest.param("r.csv", GOOD + ",\n  , \n", 120, 2, id="blank rows"),
        pytest.param("r.csv", HEADER + "a,1\n" * 9 + "b,2\n", 10, 0, id="one character"),
        pytest.param("r.csv", f"{GOOD}{'room ' * 400_000},3\n", 121, 0, id="two megabytes"),
        pytest.param("r.csv", HEADER + "fine,4.0\nbad,1.0\n", 2, 0, id="labels as floats"),
        pytest.param(
            "r.csv", HEADER + "".join(f"a,{n}\n" for n in range(1000)), 1000, 0, id="1,000 classes"
        ),
        pytest.param("r.csv", HEADER + "fine,4\nfine,5\n", 2, 0, id="one text, two labels"),
        pytest.param("r.csv", HEADER + "חדר,4\nغرفة,1\n👩‍👩‍👧 🙂,5\n", 3, 0, id="emoji, Hebrew"),
        pytest.param("r.csv", HEADER + "go\x1b[31mod\x07,4\n\u202eb,1\n", 2, 0, id="control"),
        pytest.param("r.csv.zip", zipped("r.csv", "__MACOSX/._r.csv"), 120, 0, id="macOS .zip"),
    ],
)
def test_an_unusual_table_is_taken(
    name: str, content: str | bytes, rows: int, blank: int, workspace: Path
) -> None:
    use_table(workspace, name, content)
    facts = taken(workspace)
    assert facts["rows"] == rows
    assert facts["dropped"] == {"blank rows": blank}


def list_data(project: Path, **changes: object) -> None:
    """Add the entry `mine` to the catalog, and name it in params.yaml."""
    path = project / "data/catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    entry = {"text": "review", "label": "stars", "labels": list(LABELS)}
    catalog["data"]["mine"] = entry | {"licence": "MIT", "origin": "a test"} | changes
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    set_params(project, {"data.name": "mine"})


@pytest.mark.parametrize(
    ("labels", "rows", "words"),
    [
        pytest.param(LABELS, ROWS + "fine,6\n", ("mine", "row 121", "'6'"), id="unknown label"),
        pytest.param(LABELS, "a,4\nb,1\nc,5\nd,3\n", ("mine", "label 2"), id="class without rows"),
        pytest.param([1.5, 2.5], "a,1.5\n", ("catalog.yaml", "mine", "1.5"), id="floats"),
        pytest.param([False, True], "a,no\n", ("catalog.yaml", "mine", "False"), id="booleans"),
        pytest.param([1, "1.0"], "a,1\n", ("catalog.yaml", "mine", "twice"), id="one class twice"),
    ],
)
def test_bad_labels_of_the_catalog_are_refused(
    labels: list[object], rows: str, words: tuple[str, ...], workspace: Path
) -> None:
    (workspace / "r.csv").write_text(HEADER + rows)
    list_data(workspace, sources=["r.csv"], allow_unpinned=True, labels=list(labels))
    assert_contains(refused(workspace, "download"), words)


@pytest.mark.parametrize(
    ("rows", "method", "words"),
    [
        pytest.param("a,4\nb,1\n", "shuffle", ("2 reviews", "0 for validation"), id="too few"),
        pytest.param("a,4\na,5\n" * 50, "hash", ("100 reviews", "0 for"), id="all texts equal"),
    ],
)
def test_a_table_that_can_not_be_split_is_refused(
    rows: str, method: str, words: tuple[str, ...], workspace: Path
) -> None:
    use_table(workspace, "r.csv", HEADER + rows)
    set_params(workspace, {"split.method": method})
    taken(workspace)
    assert_contains(refused(workspace, "split"), words)


@pytest.mark.parametrize("classes", [2, 1000])
def test_two_and_a_thousand_classes_pass_through_all_stages(
    classes: int, small_project: Path
) -> None:
    rows = "".join(f"room {number},{number % classes}\n" for number in range(3 * classes + 20))
    (small_project / "data/own/small.csv").write_text(HEADER + rows)
    set_params(small_project, {"train.epochs": 1})
    for stage in yaml.safe_load((small_project / "dvc.yaml").read_text())["stages"]:
        run = run_stage(small_project, stage)
        assert run.returncode == 0, run.stderr
        assert "Warning" not in run.stderr


# Parameters; tests/common/test_params.py has more


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("train: {epochs: true}", ("train.epochs", "true"), id="true for a number"),
        pytest.param("train: {batch_size: -1}", ("train.batch_size", "-1"), id="negative"),
        pytest.param("train: {clip: .inf}", ("train.clip", "inf"), id="infinity"),
        pytest.param("data: {name: [a, b]}", ("data.name", "['a', 'b']"), id="list for a name"),
        pytest.param("data: {name: a, text: x, label: x}", ("data", "'x'"), id="one column twice"),
        pytest.param("train: " + "[" * 100_000, ("nested",), id="deeply nested"),
        pytest.param("train: 2026-13-45", ("month",), id="impossible date"),
    ],
)
def test_bad_parameters_are_refused(content: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        SECTIONS[content.partition(":")[0]].load(path)
    assert_contains(str(raised.value), (path.name, *words))


@pytest.mark.parametrize(
    ("stage", "params", "words"),
    [
        (
            "download",
            {"data.name": "tripadviser"},
            ("data.name 'tripadviser'", "did you mean tripadvisor?"),
        ),
        ("download", {"data.name": "no.csv"}, ("data.name 'no.csv'", "data/catalog.yaml", "demo")),
        ("download", {"data.name": "params.yaml"}, ("params.yaml", "data.text", "data.label")),
        ("pretrained", {"model.name": "minilmm"}, ("model.name 'minilmm'", "did you mean minilm?")),
        ("pretrained", {"model.name": "some/model"}, ("'some/model'", "model.revision")),
        ("tokenize", {"tokenize.max_length": 65}, ("tokenize.max_length", "65", "64 tokens")),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    stage: str, params: dict[str, object], words: tuple[str, ...], finished_project: Path
) -> None:
    set_params(finished_project, {"data.text": None, "data.label": None} | params)
    assert_contains(refused(finished_project, stage), words)


@pytest.mark.parametrize("name", ["demo", "r.csv", "parts"])
@pytest.mark.parametrize(("key", "value"), [("revision", "0" * 40), ("config", "en")])
def test_a_parameter_that_does_not_apply_to_the_data_set_is_refused(
    name: str, key: str, value: str, workspace: Path
) -> None:
    use_table(workspace, "r.csv", GOOD)
    (workspace / "parts").mkdir()
    (workspace / "parts/train.csv").write_text(GOOD)
    set_params(workspace, {"data.name": name, f"data.{key}": value})
    words = (f"data.{key} is only for", "data sets of the hub", f"set data.{key} to null", name)
    assert_contains(refused(workspace, "download"), words)


# Folders of models

Change = Callable[[Path], object]


def cut(name: str) -> Change:
    """Remove the second half of a file."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def edit(name: str, **changes: object) -> Change:
    """Set keys of a JSON file."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(content | changes), encoding="utf-8")

    return change


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_labels(folder: Path) -> None:
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del content["ordinal"]
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")


WEIGHTS, CODE = "model.safetensors", {"auto_map": {"AutoModel": "modeling.Model"}}
OWN, PRETRAINED, TRAINED = "data/own/tiny", "data/pretrained", "models/ordinal"

BAD_MODELS: dict[str, tuple[str, str, Change, tuple[str, ...]]] = {
    "missing file": ("pretrained", OWN, remove("tokenizer.json"), (OWN, "tokenizer.json")),
    "truncated weights": ("pretrained", OWN, cut(WEIGHTS), (OWN, WEIGHTS)),
    "pickled weights": ("pretrained", OWN, pickled, (OWN, "pytorch_model.bin", WEIGHTS)),
    "model with code": ("pretrained", OWN, edit("config.json", **CODE), (OWN, "auto_map")),
    "tokenizer with code": (
        "pretrained",
        OWN,
        edit("tokenizer_config.json", **CODE),
        (OWN, "tokenizer_config.json", "auto_map"),
    ),
    "truncated config": ("pretrained", OWN, cut("config.json"), (OWN, "config.json")),
    "truncated tokenizer": ("pretrained", OWN, cut("tokenizer.json"), (OWN, "tokenizer.json")),
    "unknown architecture": (
        "train",
        PRETRAINED,
        edit("config.json", model_type="nonesuch"),
        (PRETRAINED, "nonesuch"),
    ),
    "missing trained weights": ("evaluate", TRAINED, remove(WEIGHTS), (TRAINED, WEIGHTS)),
    "truncated trained weights": ("evaluate", TRAINED, cut(WEIGHTS), (TRAINED,)),
    "pickled trained weights": ("evaluate", TRAINED, pickled, (TRAINED, WEIGHTS)),
    "missing calibration": (
        "evaluate",
        TRAINED,
        remove("calibration.json"),
        (TRAINED, "calibration.json"),
    ),
    "model of another project": ("evaluate", TRAINED, without_labels, (TRAINED, "config")),
}


@pytest.mark.parametrize("case", BAD_MODELS)
def test_a_bad_folder_of_a_model_is_refused(case: str, finished_project: Path) -> None:
    stage, folder, change, words = BAD_MODELS[case]
    change(finished_project / folder)
    assert_contains(refused(finished_project, stage), words)


def test_weights_that_are_not_those_of_the_catalog_are_refused(
    finished_project: Path, server: Loopback
) -> None:
    folder, revision = finished_project / OWN, "0" * 40
    for file in ENCODER_FILES:
        body = (folder / file).read_bytes()
        if file == WEIGHTS:
            body = body[:-1] + bytes([body[-1] ^ 1])
        server.answer(f"/some/model/resolve/{revision}/{file}", Answer(body=body))
    path = finished_project / "data/catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalog["encoders"]["mine"] = {
        "sources": [{"hub": "some/model", "revision": revision}],
        "files": {file: f"sha256:{sha256(folder / file)}" for file in ENCODER_FILES},
        "licence": "MIT",
        "origin": "a test",
    }
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    set_params(finished_project, {"model.name": "mine"})
    # The hub's client reads the hub's address when it is imported, so this runs in a new process.
    hub = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0"}
    sentence = refused(finished_project, "", "python", "-m", "stages.pretrained", **hub)
    assert_contains(sentence, ("mine", "some/model", WEIGHTS))


# Downloads of a file whose checksum is in the catalog

URL = "/reviews.csv"
REVIEWS = GOOD.encode()
CUT = Answer(body=REVIEWS, sends=100)


def serve_reviews(project: Path, server: Loopback, *answers: Answer) -> None:
    (project / "good.csv").write_bytes(REVIEWS)
    checksum = f"sha256:{sha256(project / 'good.csv')}"
    list_data(project, sources=[server.answer(URL, *answers)], checksum=checksum)


def redirect(to: str) -> Answer:
    return Answer(302, headers={"Location": to})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(Answer(404), ("404",), id="404"),
        pytest.param(Answer(500), ("500",), id="500"),
        pytest.param(Answer(body=REVIEWS, sends=9, then_waits=True), ("no answer",), id="silence"),
        pytest.param(Answer(body=REVIEWS, drips=True), ("1000 bytes",), id="slow"),
        pytest.param(CUT, ("connection",), id="cut off"),
        pytest.param(Answer(body=REVIEWS[:-1]), ("sha256",), id="too few bytes"),
        pytest.param(Answer(body=REVIEWS + b"fine,4\n"), ("sha256",), id="another file"),
        pytest.param(
            Answer(body=REVIEWS, headers={"Content-Length": "9"}), ("sha256",), id="too many bytes"
        ),
        pytest.param(Answer(body=b"<html>Sign in</html>"), ("HTML page",), id="HTML page"),
        pytest.param(redirect("http://localtest.invalid/r.csv"), ("https",), id="to http"),
        pytest.param(redirect("file:///etc/hostname"), ("https", "file:"), id="to a file"),
        pytest.param(redirect("https://["), ("redirect",), id="to no address"),
        pytest.param(redirect(URL), ("redirect",), id="endless redirects"),
    ],
)
def test_a_bad_answer_of_a_server_is_refused(
    answer: Answer, words: tuple[str, ...], workspace: Path, server: Loopback
) -> None:
    serve_reviews(workspace, server, answer)
    assert_contains(refused(workspace, "download"), (URL, *words))


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((Answer(500), Answer(body=REVIEWS)), id="500, then the file"),
        pytest.param((CUT, Answer(body=REVIEWS)), id="cut off, then the file"),
        pytest.param((Answer(body=REVIEWS, headers={"Content-Length": "x"}),), id="no length"),
    ],
)
def test_a_download_survives_a_bad_moment(
    answers: tuple[Answer, ...], workspace: Path, server: Loopback
) -> None:
    serve_reviews(workspace, server, *answers)
    assert taken(workspace)["rows"] == 120


@pytest.mark.parametrize(
    ("source", "checksum", "words"),
    [
        pytest.param("http://127.0.0.1:9/r.csv", "0" * 64, ("127.0.0.1:9",), id="no network"),
        pytest.param("http://a.invalid/r.csv", "0" * 64, ("a.invalid", "https"), id="plain http"),
        pytest.param("https://a.invalid/r.csv", None, ("mine", "checksum"), id="no checksum"),
    ],
)
def test_a_bad_source_is_refused(
    source: str, checksum: str | None, words: tuple[str, ...], workspace: Path, server: Loopback
) -> None:
    list_data(workspace, sources=[source], checksum=checksum and f"sha256:{checksum}")
    assert_contains(refused(workspace, "download"), words)


def test_a_full_disk_is_refused(workspace: Path) -> None:
    # A limit of 1 kB per file takes the place of a full disk. Coverage would hit it, too.
    line = "unset COVERAGE_PROCESS_CONFIG; ulimit -f 1; exec python -m stages.download"
    assert "disk is full" in refused(workspace, "", "bash", "-c", line, PYTHONPATH=str(ROOT))


UNPRIVILEGED = """
import ctypes, os

if os.geteuid() == 0:  # take CAP_DAC_OVERRIDE, which lets root write anywhere, from the stage
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execvp("python", ["python", "-m", "stages.download"])
"""


def test_a_folder_without_write_permission_is_refused(workspace: Path) -> None:
    (workspace / "data").chmod(0o555)
    try:
        command = ("python", "-c", UNPRIVILEGED)
        sentence = refused(workspace, "", *command, PYTHONPATH=str(ROOT))
    finally:
        (workspace / "data").chmod(0o755)
    assert_contains(sentence, ("data/", "Permission denied"))
