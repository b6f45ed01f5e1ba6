"""What may come from outside, and what a stage says of it: the cases of test_bad_input.py.

`python -m tests.pipeline.bad_input` writes them as a table into docs/reliability.md.
"""

import gzip
import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from tqdm import tqdm

from ordinal.common.files import sha256
from ordinal.sources import download as downloads
from ordinal.sources.catalog import ENCODER_FILES
from tests.conftest import ROOT, finish_small_project, run_in, save_tiny_encoder, set_params
from tests.loopback import Answer, Loopback, serving

Make = Callable[[Path, Loopback], object]

OWN_PROCESS = ("bash", "-c", 'exec python -m "stages.$0"')

UNPRIVILEGED_STAGE = """
import ctypes, os, sys

if os.geteuid() == 0:  # take CAP_DAC_OVERRIDE, to write where nobody may, from what is run next
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execvp("python", ["python", "-m", f"stages.{sys.argv[1]}"])
"""


@dataclass(frozen=True)
class Case:
    """One input, the stage that meets it, and how that ends."""

    what: str
    make: Make
    """Brings the input into a project in which the pipeline has run."""
    stage: str = "download"
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Of an input that is taken: what data/raw/facts.json says of it."""
    command: tuple[str, ...] = ()
    """Runs a stage in a process of its own, its name being one more argument."""


# Tables


def row(number: int) -> str:
    return f"room {number},{number % 5 + 1}\n"


HEADER = "review,stars\n"
ROWS = "".join(row(number) for number in range(120))


def table(content: str | bytes, name: str = "reviews.csv") -> Make:
    """A file of the user's own, named by data.name."""

    def make(project: Path, _: Loopback) -> None:
        content_ = content.encode() if isinstance(content, str) else content
        (project / name).write_bytes(content_)
        set_params(project, {"data.name": name, "data.text": "review", "data.label": "stars"})

    return make


def listed(content: str, **changes: object) -> Make:
    """A file that the catalog lists, with its labels."""

    def make(project: Path, server: Loopback) -> None:
        table(content)(project, server)
        list_data(project, **{"sources": ["reviews.csv"], "allow_unpinned": True} | changes)

    return make


def list_data(project: Path, **changes: object) -> None:
    """Add the entry `mine` to the catalog, and name it in params.yaml."""
    path = project / "data/catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalog["data"]["mine"] = {
        "text": "review",
        "label": "stars",
        "labels": [1, 2, 3, 4, 5],
        "licence": "MIT",
        "origin": "a test",
    } | changes
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    set_params(project, {"data.name": "mine"})


def parquet(rows: int, keep: int | None = None) -> bytes:
    """A Parquet file of reviews, of which `keep` bytes are kept."""
    texts = [f"room {number}" for number in range(rows)]
    stars = [number % 5 + 1 for number in range(rows)]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"review": texts, "stars": stars}), buffer)
    return buffer.getvalue()[:keep]


def zipped(names: list[str], encrypted: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, HEADER + ROWS)
    content = bytearray(buffer.getvalue())
    if encrypted:
        content[content.index(b"PK\1\2") + 8] |= 1  # in the flags of the central directory
    return bytes(content)


def bomb() -> bytes:
    """A CSV of 80 MB, mostly one text, in less than 100 kB."""
    return gzip.compress(f"{HEADER}{'a' * 80_000_000},1\n".encode(), 6)


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def spoilt_lines(*spoilt: str) -> str:
    good = [{"review": f"room {number}", "stars": number % 5 + 1} for number in range(10)]
    return lines(*good) + "\n".join(spoilt)


def split_of(content: str, **params: object) -> Make:
    """The table taken, as far as to the split."""

    def make(project: Path, server: Loopback) -> None:
        table(content)(project, server)
        done = run_in(project, "python", "-m", "stages.download")
        assert done.returncode == 0, done.stderr
        set_params(project, {f"split.{key}": value for key, value in params.items()})

    return make


def taken(rows: int, labels: Mapping[str, int] | None = None, blank: int = 0) -> dict[str, Any]:
    facts: dict[str, Any] = {"rows": rows, "dropped": {"blank rows": blank}}
    return facts | ({} if labels is None else {"rows_per_label": dict(labels)})


TABLES = [
    Case("column missing", table("title,stars\n" + ROWS)),
    Case("column there twice", table("review,stars,stars\n" + "fine,4,5\n" * 9)),
    Case(
        "one column for both text and label",
        lambda project, server: (
            table(HEADER + ROWS)(project, server),
            set_params(project, {"data.label": "review"}),
        ),
    ),
    Case("semicolons between the columns", table((HEADER + ROWS).replace(",", ";"))),
    Case("tabs between the columns of a .csv", table((HEADER + ROWS).replace(",", "\t"))),
    Case("not UTF-8 (Latin-1)", table(HEADER.encode() + "café,4\n".encode("latin-1"))),
    Case("not UTF-8 (UTF-16)", table((HEADER + ROWS).encode("utf-16"))),
    Case("a byte order mark", table(b"\xef\xbb\xbf" + (HEADER + ROWS).encode()), facts=taken(120)),
    Case("an HTML page", table("\n<!DOCTYPE html><html><body>Please sign in</body></html>")),
    Case("an empty file", table("")),
    Case("a header alone", table(HEADER)),
    Case("a quotation mark never closed", table(HEADER + ROWS + '"fine,4\n' + ROWS)),
    Case("a row with more columns than the header", table(HEADER + ROWS + "good, really,4\n")),
    Case("a row with fewer columns than the header", table(HEADER + ROWS + "good\n")),
    Case("a NUL byte", table(HEADER + ROWS + "go\0od,4\n")),
    Case("NUL bytes alone", table(b"\0" * 1000)),
    Case("a text that is null", table(spoilt_lines('{"review": null, "stars": 3}'), "r.jsonl")),
    Case("a label that is null", table(spoilt_lines('{"review": "a", "stars": null}'), "r.jsonl")),
    Case("a text of white space", table(HEADER + ROWS + " \t ,4\n")),
    Case(
        "rows with neither text nor label",
        table(HEADER + ROWS + ",\n  , \n"),
        facts=taken(120, blank=2),
    ),
    Case("texts of one character", table(HEADER + "a,1\n" * 9 + "b,2\n"), facts=taken(10)),
    Case(
        "a text of two megabytes", table(f"{HEADER}{ROWS}{'room ' * 400_000},3\n"), facts=taken(121)
    ),
    Case("labels in words", table(HEADER + "fine,good\nbad,poor\n")),
    Case(
        "labels as floats",
        table(HEADER + "fine,4.0\nbad,1.0\nwell,3.0\n"),
        facts=taken(3, {"1": 1, "3": 1, "4": 1}),
    ),
    Case("labels with halves", table(HEADER + ROWS + "fine,4.5\n")),
    Case("a label out of range", listed(HEADER + ROWS + "fine,6\n")),
    Case("a class without a row", listed(HEADER + "fine,4\nbad,1\nwell,5\nso,3\n")),
    Case("labels with halves in the catalog", listed(HEADER + "fine,1.5\n", labels=[1.5, 2.5])),
    Case(
        "labels that YAML takes for truth values", listed(HEADER + "a,no\n", labels=[False, True])
    ),
    Case("one label in two spellings", listed(HEADER + "fine,1\n", labels=[1, "1.0"])),
    Case("fewer rows than the split needs", split_of(HEADER + "fine,4\nbad,1\n"), stage="split"),
    Case("one class alone", table(HEADER + "fine,4\n" * 20)),
    Case("two classes", table(HEADER + "fine,1\nbad,0\n"), facts=taken(2, {"0": 1, "1": 1})),
    Case(
        "1,000 classes",
        table(HEADER + "".join(f"room,{n}\n" for n in range(1000))),
        facts=taken(1000),
    ),
    Case("more classes than 1,000", table(HEADER + "".join(f"room,{n}\n" for n in range(1001)))),
    Case("all rows equal", table(HEADER + "fine,4\n" * 100)),
    Case(
        "all texts equal, and split by hash",
        split_of(HEADER + "fine,4\nfine,5\n" * 50, method="hash"),
        stage="split",
    ),
    Case(
        "one text with different labels", table(HEADER + "fine,4\nfine,5\nfine,1\n"), facts=taken(3)
    ),
    Case(
        "text from right to left, and emoji",
        table(HEADER + "חדר נקי,4\nغرفة,1\n👩‍👩‍👧 🙂,5\n"),
        facts=taken(3),
    ),
    Case(
        "control characters in a text",
        table(HEADER + "go\x1b[31mod\x07,4\n\u202ebad\x0b,1\n"),
        facts=taken(2),
    ),
    Case("control characters in a label", table(HEADER + "good,\x1b[31m4\n")),
    Case("a compressed bomb (.gz)", table(bomb(), "reviews.csv.gz")),
    Case("a .gz cut off", table(gzip.compress((HEADER + ROWS).encode())[:-20], "reviews.csv.gz")),
    Case("a .zip that holds no zip", table(HEADER + ROWS, "reviews.csv.zip")),
    Case(
        "a path that leaves the folder, in a .zip",
        table(zipped(["../../reviews.csv"]), "r.csv.zip"),
    ),
    Case("two files in a .zip", table(zipped(["one.csv", "two.csv"]), "reviews.csv.zip")),
    Case("an encrypted .zip", table(zipped(["reviews.csv"], encrypted=True), "reviews.csv.zip")),
    Case(
        "a macOS .zip, with a second, hidden file",
        table(zipped(["reviews.csv", "__MACOSX/._reviews.csv"]), "reviews.csv.zip"),
        facts=taken(120),
    ),
    Case("a Parquet file cut off", table(parquet(120, keep=900), "reviews.parquet")),
    Case("a line of JSON Lines cut off", table(spoilt_lines('{"review": "a", "st'), "r.jsonl")),
    Case("a line that is no object", table(spoilt_lines('["a", 3]'), "r.jsonl")),
    Case(
        "a key there twice",
        table(spoilt_lines('{"review": "a", "stars": 3, "stars": 4}'), "r.jsonl"),
    ),
    Case("JSON nested without end", table(spoilt_lines("[" * 100_000), "r.jsonl")),
    Case(
        "half a surrogate pair", table(spoilt_lines('{"review": "\\ud83d", "stars": 3}'), "r.jsonl")
    ),
    Case("another kind of file", table(HEADER + ROWS, "reviews.xlsx")),
    Case(
        "a file that is not there", lambda project, _: set_params(project, {"data.name": "no.csv"})
    ),
]


# Parameters


def params(**changes: object) -> Make:
    """Keys of params.yaml set: section__key, value."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return lambda project, _: set_params(project, named)


def params_file(content: str | None) -> Make:
    def make(project: Path, _: Loopback) -> None:
        path = project / "params.yaml"
        if content is None:
            path.unlink()
        else:
            path.write_text(content, encoding="utf-8")

    return make


def section_unknown(project: Path, _: Loopback) -> None:
    with (project / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("splits: {}\n")


def section_missing(project: Path, _: Loopback) -> None:
    content = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    del content["evaluate"]
    (project / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


PARAMS = [
    Case("an unknown key", params(train__lrr=1e-3), "pretrained"),
    Case("an unknown section", section_unknown, "pretrained"),
    Case("a section missing", section_missing, "pretrained"),
    Case("text for a number", params(train__lr="fast"), "pretrained"),
    Case("a fraction for a whole number", params(train__epochs=1.5), "pretrained"),
    Case("true for a number", params(train__epochs=True), "pretrained"),
    Case("a list for a name", params(data__name=["a", "b"]), "pretrained"),
    Case("a negative number", params(train__batch_size=-1), "pretrained"),
    Case("zero", params(train__lr=0), "pretrained"),
    Case("NaN", params(train__weight_decay=float("nan")), "pretrained"),
    Case("infinity", params(train__clip=float("inf")), "pretrained"),
    Case("shares that don't add up to 1", params(split__test=0.3), "pretrained"),
    Case("an unknown choice", params(train__loss="huber"), "pretrained"),
    Case("no YAML", params_file("data: ["), "pretrained"),
    Case("YAML nested without end", params_file("[" * 100_000), "pretrained"),
    Case("a date that is none", params_file("data: 2026-13-45"), "pretrained"),
    Case("an empty file, for parameters", params_file(""), "pretrained"),
    Case("no params.yaml", params_file(None), "pretrained"),
    Case("a data set that doesn't exist", params(data__name="tripadviser")),
    Case("a model that doesn't exist", params(model__name="minilmm"), "pretrained"),
    Case(
        "a model of the hub without its commit",
        params(model__name="some/model"),
        "pretrained",
    ),
    Case("a max_length above the model's", params(tokenize__max_length=65), "tokenize"),
]


# Folders of models


def encoder(change: Callable[[Path], object]) -> Make:
    """The folder of the user's own encoder, changed."""
    return lambda project, _: change(project / "data/own/tiny")


def cut(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def edit(name: str, **changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps(content | changes), encoding="utf-8")

    return change


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def trained(change: Callable[[Path], object]) -> Make:
    """The folder of the model that the pipeline has trained, changed."""
    return lambda project, _: change(project / "models/ordinal")


def other_hash(project: Path, server: Loopback) -> None:
    """An encoder of the catalog whose weights, on the hub, are not those that it pins."""
    folder = project / "data/own/tiny"
    revision = "0" * 40
    for file in ENCODER_FILES:
        body = (folder / file).read_bytes()
        if file == "model.safetensors":
            body = body[:-1] + bytes([body[-1] ^ 1])
        server.answer(f"/some/model/resolve/{revision}/{file}", Answer(body=body))
    path = project / "data/catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalog["encoders"]["mine"] = {
        "sources": [{"hub": "some/model", "revision": revision}],
        "files": {file: f"sha256:{sha256(folder / file)}" for file in ENCODER_FILES},
        "licence": "MIT",
        "origin": "a test",
    }
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    set_params(project, {"model.name": "mine"})


REMOTE = {"auto_map": {"AutoModel": "modeling.Model"}}


def unknown_architecture(project: Path, _: Loopback) -> None:
    edit("config.json", model_type="nonesuch")(project / "data/pretrained")


MODELS = [
    Case("a file missing", encoder(without("tokenizer.json")), "pretrained"),
    Case("weights cut off", encoder(cut("model.safetensors")), "pretrained"),
    # The hub's client takes the hub's address when it is imported.
    Case("weights of another hash", other_hash, "pretrained", command=OWN_PROCESS),
    Case("pickled weights alone", encoder(pickled), "pretrained"),
    Case(
        "a config that asks for remote code",
        encoder(edit("config.json", **REMOTE)),
        stage="pretrained",
    ),
    Case(
        "a tokenizer that asks for remote code",
        encoder(edit("tokenizer_config.json", **REMOTE)),
        stage="pretrained",
    ),
    Case("a config cut off", encoder(cut("config.json")), "pretrained"),
    Case("a tokenizer cut off", encoder(cut("tokenizer.json")), "pretrained"),
    Case("an architecture that transformers doesn't know", unknown_architecture, "train"),
    Case("trained weights missing", trained(without("model.safetensors")), "evaluate"),
    Case("trained weights cut off", trained(cut("model.safetensors")), "evaluate"),
    Case("trained weights in a pickle", trained(pickled), "evaluate"),
    Case("a calibration missing", trained(without("calibration.json")), "evaluate"),
    Case(
        "a model of somebody else",
        trained(lambda folder: shutil.copy(folder / "../../data/own/tiny/config.json", folder)),
        stage="evaluate",
    ),
]


# Downloads

REVIEWS = (HEADER + ROWS).encode()


def served(*answers: Answer) -> Make:
    """A file that the catalog pins, with its source and these answers."""

    def make(project: Path, server: Loopback) -> None:
        path = project / "good.csv"
        path.write_bytes(REVIEWS)
        url = server.answer("/reviews.csv", *answers)
        list_data(project, sources=[url], checksum=f"sha256:{sha256(path)}")
        path.unlink()

    return make


def redirected(to: str) -> Make:
    return served(Answer(302, headers={"Location": to}))


def unpinned(project: Path, server: Loopback) -> None:
    list_data(project, sources=[server.answer("/reviews.csv", Answer(body=REVIEWS))])


def read_only(project: Path, _: Loopback) -> None:
    (project / "data").chmod(0o555)


SAYS_NO = Answer(body=REVIEWS, sends=100)

DOWNLOADS = [
    Case("404", served(Answer(404))),
    Case("500, again and again", served(Answer(500))),
    Case("500, then the file", served(Answer(500), Answer(body=REVIEWS)), facts=taken(120)),
    Case(
        "silence in the middle of the file",
        served(Answer(body=REVIEWS, sends=100, then_waits=True)),
    ),
    Case("a slow drip", served(Answer(body=REVIEWS, drips=True))),
    Case("cut in the middle, again and again", served(SAYS_NO)),
    Case(
        "cut in the middle, then the whole file",
        served(SAYS_NO, Answer(body=REVIEWS)),
        facts=taken(120),
    ),
    Case("fewer bytes than there should be", served(Answer(body=REVIEWS[:-1]))),
    Case(
        "more bytes than announced", served(Answer(body=REVIEWS, headers={"Content-Length": "9"}))
    ),
    Case(
        "an announced size that is no number",
        served(Answer(body=REVIEWS, headers={"Content-Length": "x"})),
        facts=taken(120),
    ),
    Case("a file of another hash", served(Answer(body=REVIEWS + b"fine,4\n"))),
    Case("an HTML page instead of the file", served(Answer(body=b"<html>Please sign in</html>"))),
    Case(
        "a redirect to another host, over http", redirected("http://localtest.invalid/reviews.csv")
    ),
    Case("a redirect to `file:`", redirected("file:///etc/hostname")),
    Case("a redirect that is no address", redirected("https://[")),
    Case("redirects without end", redirected("/reviews.csv")),
    Case(
        "no network: nobody answers",
        lambda project, _: list_data(
            project, sources=["http://127.0.0.1:9/reviews.csv"], checksum=f"sha256:{'0' * 64}"
        ),
    ),
    Case(
        "plain http",
        lambda project, _: list_data(
            project, sources=["http://localtest.invalid/reviews.csv"], checksum=f"sha256:{'0' * 64}"
        ),
    ),
    Case("no hash pinned", unpinned),
    Case(
        "a disk without room (no file may have more than 1 kB)",
        lambda *_: None,
        # `make coverage` would have no room either.
        command=(
            "bash",
            "-c",
            'unset COVERAGE_PROCESS_CONFIG; ulimit -f 1; exec python -m "stages.$0"',
        ),
    ),
    Case(
        "a folder that may not be written to",
        read_only,
        command=("python", "-c", UNPRIVILEGED_STAGE),
    ),
]

GROUPS = {
    "Tables": TABLES,
    "Parameters": PARAMS,
    "Folders of models": MODELS,
    "Downloads": DOWNLOADS,
}


# What a case comes to


def meet(case: Case, project: Path, server: Loopback) -> str:
    """Run a case in a copy of a finished project; returns its row of the table.

    Raises:
        AssertionError: it does not end as it should, whatever it says.
    """
    case.make(project, server)
    before = snapshot(project)
    if case.command:
        hub = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0"}
        done = run_in(project, *case.command, case.stage, **hub)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(downloads, "FIRST_PAUSE", 0)
            patch.setattr(downloads, "TIMEOUT", (5, 0.3))
            done = run_in(project, "python", "-m", f"stages.{case.stage}")
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    after = snapshot(project)
    if case.facts:
        assert done.returncode == 0, done.stderr
        facts = json.loads(after["data/raw/facts.json"] or b"")
        assert {key: facts[key] for key in case.facts} == case.facts
        before, after = (
            {path: content for path, content in files.items() if not path.startswith("data/raw")}
            for files in (before, after)
        )
        said = f"*taken:* {facts['rows']} rows"
        for reason, count in facts["dropped"].items():
            said += f"; {count} {reason} dropped" * bool(count)
    else:
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("error: ")
        assert done.stderr.endswith("\n")
        assert done.stderr[:-1].isprintable(), "not one line"
        said = done.stderr.strip().replace(server.url, "http://127.0.0.1")
        said = re.sub(r"/\.raw\.\w+", "/.raw.…", re.sub("[0-9a-f]{12}…", "…", said))
        said = f"`` {said} ``" if "`" in said else f"`{said}`"
    assert after == before
    return f"| {case.what} | {case.stage} | {done.returncode} | {said.replace('|', '&#124;')} |"


def snapshot(project: Path) -> dict[str, bytes | None]:
    """All of data/, models/ and metrics/, hidden or not, by path; a folder has no bytes."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes() if path.is_file() else None
        for folder in ("data", "models", "metrics")
        for path in (project / folder).rglob("*")
    }


# The table in docs/reliability.md

DOCS = ROOT / "docs/reliability.md"
HEADING = "## Bad input\n"
TITLES = "| input | stage | exit code | what it says |\n|---|---|---|---|\n"


def section() -> str:
    """The section as it is committed, from its heading to the next."""
    text = DOCS.read_text(encoding="utf-8")
    start = text.index(HEADING)
    end = text.find("\n## ", start + 1) + 1
    return text[start : end or None]


def main() -> None:
    """Run all cases, and write the tables into the section: its text stays as it is."""
    old = section()
    rows: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder, serving() as server:
        finished = finish_small_project(Path(folder), save_tiny_encoder(Path(folder) / "tiny"))
        for group, cases in GROUPS.items():
            for number, case in enumerate(tqdm(cases, desc=group, disable=None)):
                copy = Path(folder) / f"{group}-{number}"
                shutil.copytree(finished, copy, symlinks=True)
                rows.setdefault(group, []).append(meet(case, copy, server))
                (copy / "data").chmod(0o755)
                shutil.rmtree(copy)
    tables = [f"### {group}\n\n{TITLES}" + "\n".join(lines) for group, lines in rows.items()]
    new = old[: old.index("### ")] + "\n\n".join(tables) + "\n"
    DOCS.write_text(DOCS.read_text("utf-8").replace(old, new), encoding="utf-8")


if __name__ == "__main__":
    main()
