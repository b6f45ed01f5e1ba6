"""Random bytes as a table, params.yaml or the catalog: accepted, or refused with a UserError.

`make test` draws the same few hundred examples each time, `make test-fuzz` thousands of new ones.
"""

import gzip
import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.params import SECTIONS
from ordinal.data.detection import detect
from ordinal.data.inference import infer_labels
from ordinal.data.reviews import write_reviews
from ordinal.data.tables import read_table
from ordinal.own_data.guess import order_of
from ordinal.own_data.inspection import inspect
from ordinal.own_data.proposal import propose
from ordinal.prediction.inputs import rows_of_file
from ordinal.sources.catalog import Catalog, load_catalog
from tests.conftest import ROOT

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
fuzz = settings(
    max_examples=EXAMPLES or 100,
    derandomize=not EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LONGEST = 2000  # characters of an error message, even if the bad value is longer

TROUBLE = [
    *(b'"', b'""', b",", b",,", b"\n", b"\n\n", b"\r", b"\r\n", b"\t", b"\0", b"\x1a", b"\x1b[31m"),
    *(b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\xe2\x80\xa8"),
    *(b"nan", b"NaN", b"inf", b"1e999", b"-0", b"4.5", b"1_0", b"9" * 400, b"9" * 5000, b"0x1"),
    *(b"<html>", b"\x1f\x8b", b"PK\3\4", b"PAR1", b"review", b"stars", b"{", b"}", b"[", b"]"),
    *(b'"\\ud800"', b'"\\u0000"', b"null", b"true", b'{"stars": 1}', "１".encode(), "🙂".encode()),
    *(b": ", b"- ", b"&a ", b"*a", b"<<: ", b"!!int ", b"!!timestamp ", b"!!python/name:os", b"? "),
    *(
        b"0b_",
        b"2026-13-45",
        b"---\n",
        b"...\n",
        b"%YAML",
        b"1:99",
        b"~",
        b"|\n",
        b"@",
        b"#",
        b"a" * 5000,
        b"!" * 5000,
        b"[" * 999,
    ),
]


def mutated(good: bytes) -> st.SearchStrategy[bytes]:
    """Replace a few pieces of up to 20 bytes with others."""
    pieces = st.one_of(st.sampled_from(TROUBLE), st.binary(max_size=6))
    places = st.integers(0, len(good))
    edit = st.tuples(places, st.integers(0, 20), pieces)

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        content = good
        for place, length, piece in edits:
            content = content[:place] + piece + content[place + length :]
        return content

    return st.lists(edit, min_size=1, max_size=6).map(apply)


@contextmanager
def accepted_or_refused() -> Iterator[None]:
    """Allow a UserError that is short enough to read, and no other error."""
    try:
        yield
    except UserError as error:
        if not 0 < len(str(error)) < LONGEST:
            pytest.fail(f"{len(str(error))} characters")


# Tables


ROWS = [("good, really", "4"), ('so "so"', "3"), ("bad\nbad", "1"), ("", ""), ("fine", "4.0")]
CSV = b'review,stars\n"good, really",4\n"so ""so""",3\n"bad\nbad",1\n,\nfine,4.0\n'
LINES = "".join(
    json.dumps({"review": text, "stars": stars}) + "\n" for text, stars in ROWS
).encode()


ARRAY = json.dumps([{"review": text, "stars": stars} for text, stars in ROWS]).encode()
ESCAPED = b'review,stars\n"good, really",4\n"so \\"so\\"",3\n"bad\nbad",1\n,\nfine,4.0\n'
TABS = b'review\tstars\n"good, really\t4\nso "so"\t3\nbad bad\t1\n\t\nfine\t4.0\n'
FASTTEXT = b'__label__4 good, really\n__label__3 so "so"\n__label__1 bad\n\n__label__4.0 fine\n'
TITLED = b"\nsep=;\nReviews of 2024\n\nreview;stars\n" + CSV.partition(b"\n")[2].replace(b",", b";")


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reviews.csv", content)
    return buffer.getvalue()


def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(ROWS, columns=["review", "stars"]).to_parquet(buffer)
    return buffer.getvalue()


def excel() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(ROWS, columns=["review", "stars"]).to_excel(buffer, index=False)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def read(path: Path, content: bytes, columns: Sequence[str] = ("review", "stars")) -> None:
    """Read a table as the download stage does; what it takes has to be clean."""
    path.write_bytes(content)
    out = path.with_name("out.parquet")
    with accepted_or_refused():
        labels = infer_labels(path, columns[1])
        repairs: Counter[str] = Counter()
        chunks = read_table(path, columns, path.name, None, repairs)
        facts = write_reviews(chunks, labels, out, path.name, "drop")
        written = pq.read_table(out).to_pylist()
        assert len(written) == facts["rows"] == sum(facts["rows_per_label"].values())
        assert {row["label"] for row in written} == set(range(len(labels)))
        assert all(row["text"].strip() and "\0" not in row["text"] for row in written)
        json.dumps([facts, repairs, detect(path, path.name, None, columns).fields()])
    with accepted_or_refused():  # as `ordinal predict` reads it, with all its columns
        for chunk in rows_of_file(path, columns[:1]):
            assert chunk.others is not None
            assert len(chunk.texts) == len(chunk.others)


def test_the_undamaged_tables_are_accepted(folder: Path) -> None:
    for name, content in {
        "r.csv": CSV,
        "r.jsonl": LINES,
        "r.csv.gz": gzip.compress(CSV),
        "r.csv.zip": zipped(CSV),
        "r.json": ARRAY,
        "escaped.csv": ESCAPED,
        "r.tsv": TABS,
        "titled.csv": TITLED,
        "r.parquet": parquet(),
        "r.xlsx": excel(),
    }.items():
        (folder / name).write_bytes(content)
        assert infer_labels(folder / name, "stars") == [1, 3, 4]
    (folder / "r.txt").write_bytes(FASTTEXT)
    assert infer_labels(folder / "r.txt", "label") == [1, 3, 4]


@fuzz
@given(st.one_of(mutated(CSV), st.binary(max_size=200), mutated(CSV.replace(b"\n", b"\r\n"))))
def test_any_bytes_as_csv(folder: Path, content: bytes) -> None:
    read(folder / "r.csv", content)


@fuzz
@given(st.one_of(mutated(LINES), st.binary(max_size=200)))
def test_any_bytes_as_json_lines(folder: Path, content: bytes) -> None:
    read(folder / "r.jsonl", content)


@fuzz
@given(
    st.sampled_from(["r.csv.gz", "r.csv.zip", "r.tsv", "r.parquet", "r"]),
    st.one_of(mutated(gzip.compress(CSV, mtime=0)), mutated(zipped(CSV)), mutated(parquet())),
)
def test_any_bytes_as_a_compressed_table_or_parquet(
    folder: Path, name: str, content: bytes
) -> None:
    read(folder / name, content)


@fuzz
@given(
    st.sampled_from(["r.csv", "r.tsv", "r.json", "r.txt", "r"]),
    st.one_of(*(mutated(table) for table in (ARRAY, ESCAPED, TABS, TITLED))),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
)
def test_any_bytes_as_another_kind(folder: Path, name: str, content: bytes, encoding: str) -> None:
    if encoding != "utf-8":
        content = content.decode("latin-1").encode(encoding)
    read(folder / name, content)


@fuzz
@given(mutated(FASTTEXT))
def test_any_bytes_as_fasttext(folder: Path, content: bytes) -> None:
    read(folder / "r.txt", content, ("text", "label"))


@settings(fuzz, max_examples=max(20, EXAMPLES // 5))
@given(mutated(excel()))
def test_any_bytes_as_excel(folder: Path, content: bytes) -> None:
    read(folder / "r.xlsx", content)


@settings(fuzz, max_examples=max(20, EXAMPLES // 5))
@given(st.binary(max_size=30), st.integers(0, 2), st.integers(0, 10**6))
def test_any_sheet_of_an_excel_file(folder: Path, piece: bytes, part: int, place: int) -> None:
    """Damage the XML within the archive, whose checksums stay right."""
    parts = ["xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/styles.xml"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(excel())) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == parts[part]:
                place %= len(content)
                content = content[:place] + piece + content[place + len(piece) :]
            new.writestr(name, content)
    read(folder / "r.xlsx", buffer.getvalue())


@fuzz
@given(st.one_of(mutated(CSV), mutated(TABS), mutated(LINES), mutated(FASTTEXT)))
def test_any_bytes_inspected(folder: Path, content: bytes) -> None:
    """Inspect a table as `ordinal new-data` does, with guessed columns."""
    path = folder / "r.txt"
    path.write_bytes(content)
    with accepted_or_refused():
        facts = inspect(path)
        assert facts.rows == sum(facts.classes.values())
        propose(facts, "data/own/r.txt", order_of(facts.classes))


# params.yaml and the catalog


def yaml_values() -> st.SearchStrategy[object]:
    """Values that YAML can contain: odd numbers, dates, lists and mappings."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.dates(),
        st.binary(max_size=5),
        st.sampled_from(["3e-5", "yes", "nan", "corn", "demo", "../..", "a" * 10_000, "1e999"]),
    )
    keys = st.one_of(st.text(max_size=5), st.integers(), st.none(), st.dates())
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)
        ),
        max_leaves=6,
    )


def changed(good: bytes) -> st.SearchStrategy[bytes]:
    """Replace a few values of a YAML file, at any depth."""
    content = yaml.safe_load(good)
    paths = [path for path in _paths(content) if path]
    changes = st.lists(st.tuples(st.sampled_from(paths), yaml_values()), min_size=1, max_size=3)

    def apply(edits: list[tuple[tuple[object, ...], object]]) -> bytes:
        copy = yaml.safe_load(good)
        for path, value in edits:
            inner = copy
            for part in path[:-1]:
                inner = inner[part] if isinstance(inner, dict) and part in inner else {}
            if isinstance(inner, dict):
                inner[path[-1]] = value
        return yaml.safe_dump(copy, allow_unicode=True).encode("utf-8", "replace")

    return changes.map(apply)


def _paths(content: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    if not isinstance(content, dict):
        return [path]
    inner = [found for key, value in content.items() for found in _paths(value, (*path, key))]
    return [path, (*path, "another"), *inner]


PARAMS = (ROOT / "params.yaml").read_bytes()
CATALOG = (ROOT / "data/catalog.yaml").read_bytes()


def read_params(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for section in SECTIONS.values():
        with accepted_or_refused():
            assert isinstance(section.load(path), section)


def read_catalog(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with accepted_or_refused():
        assert isinstance(load_catalog(path), Catalog)


@fuzz
@given(st.one_of(changed(PARAMS), mutated(PARAMS), mutated(b"data: {}"), st.binary(max_size=100)))
def test_any_bytes_as_params(folder: Path, content: bytes) -> None:
    read_params(folder / "params.yaml", content)


@fuzz
@given(st.one_of(changed(CATALOG), mutated(CATALOG), st.binary(max_size=100)))
def test_any_bytes_as_catalog(folder: Path, content: bytes) -> None:
    read_catalog(folder / "catalog.yaml", content)


@pytest.mark.parametrize(
    ("name", "reader", "good"),
    [
        ("r.csv", read, CSV),
        ("r.jsonl", read, LINES),
        ("params.yaml", read_params, PARAMS),
        ("catalog.yaml", read_catalog, CATALOG),
    ],
    ids=["csv", "jsonl", "params", "catalog"],
)
def test_each_troublesome_piece_alone_and_at_many_positions(
    folder: Path, name: str, reader: Callable[[Path, bytes], None], good: bytes
) -> None:
    for piece in TROUBLE:
        reader(folder / name, piece)
        for place in range(0, len(good) + 1, max(1, len(good) // 3)):
            reader(folder / name, good[:place] + piece + good[place:])
