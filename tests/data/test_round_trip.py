"""Any table that a program or a person wrote comes back row for row, or is refused by name."""

import csv
import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.formats import Format
from ordinal.common.labels import label_key
from ordinal.data.dialects import ESCAPE
from ordinal.data.tables import read_table

Rows = Sequence[tuple[str, str]]
COLUMNS = ("review", "stars")
LABELS = (("1", "2", "3"), ("low", "mid", "high"), ("--", "-", "0", "+"), ("18_24", "25_34"))

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
many = settings(
    max_examples=EXAMPLES or 200,
    derandomize=not EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow],
)
PIECES = [*'"\\,;\t|\n', "\r\n", "\r", '""', '\\"', " ", "a", "5", "NA", "é", "e\u0301", "🙂", "=1"]
texts = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12),
)


def tables(texts: st.SearchStrategy[str] = texts) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.sampled_from(LABELS).flatmap(
        lambda labels: st.lists(st.tuples(texts, st.sampled_from(labels)), min_size=1, max_size=8)
    )


def with_csv_module(rows: Rows, separator: str, end: str, **options: object) -> str:
    file = io.StringIO()
    table = [COLUMNS, *rows]
    writer = csv.writer(file, delimiter=separator, lineterminator=end, **options)
    writer.writerows(table)
    return file.getvalue()


def with_pandas(rows: Rows, separator: str, end: str, **options: object) -> str:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return str(table.to_csv(index=False, sep=separator, lineterminator=end, **options))


QUOTING: dict[str, tuple[Format, dict[str, object]]] = {
    "minimal": (Format(quoting="standard"), {"quoting": csv.QUOTE_MINIMAL}),
    "all": (Format(quoting="standard"), {"quoting": csv.QUOTE_ALL}),
    "texts": (Format(quoting="standard"), {"quoting": csv.QUOTE_NONNUMERIC}),
    "escaped": (
        Format(quoting="backslash"),
        {"quoting": csv.QUOTE_MINIMAL, "doublequote": False, "escapechar": "\\"},
    ),
    "all escaped": (
        Format(quoting="backslash"),
        {"quoting": csv.QUOTE_ALL, "doublequote": False, "escapechar": "\\"},
    ),
    "unquoted": (Format(quoting="backslash"), {"quoting": csv.QUOTE_NONE, "escapechar": "\\"}),
}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
writers = st.sampled_from([with_csv_module, with_pandas])
separators = st.sampled_from([",", ";", "\t", "|"])
ends = st.sampled_from(["\n", "\r\n", "\r"])
names = st.sampled_from(["r.csv", "r.tsv", "r.txt", "r", "r.csv.gz"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round")


def save(path: Path, content: str, encoding: str) -> Path:
    data = content.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, columns: Sequence[str], fixed: Format | None = None) -> tuple[Any, Any]:
    repairs: Counter[str] = Counter()
    rows = [
        row
        for chunk in read_table(path, columns, path.name, fixed, repairs)
        for row in chunk.itertuples(index=False, name=None)
    ]
    return rows, repairs


def assert_same(read_rows: Rows, repairs: Counter[str], rows: Rows) -> None:
    """Compare rows. A carriage return at the end of a line may be gone, if it was counted."""
    found = [(text or "", label_key(label or "")) for text, label in read_rows]
    expected = [(text, label_key(label)) for text, label in rows]
    if repairs["carriage returns removed from ends of lines"]:
        found = [(text.rstrip("\r"), label) for text, label in found]
        expected = [(text.rstrip("\r"), label) for text, label in expected]
    assert found == expected
    assert "lines skipped before the header" not in repairs


@many
@given(
    tables(),
    writers,
    separators,
    ends,
    st.sampled_from([*QUOTING]),
    st.sampled_from(ENCODINGS),
    names,
)
def test_delimited_tables(
    folder: Path,
    rows: Rows,
    write: Callable[..., str],
    separator: str,
    end: str,
    quoting: str,
    encoding: str,
    name: str,
) -> None:
    fixed, options = QUOTING[quoting]
    try:
        content = write(rows, separator, end, **options)
    except csv.Error:  # nothing to escape an empty row with
        return
    if end == "\r" and "\r\n" in content:
        return  # the csv module does not quote a line feed next to a line end
    path = save(folder / name, content, encoding)
    known = Format(**fixed.fixed(), separator=separator, header="first", skip=0)
    try:
        assert_same(*read(path, COLUMNS, known), rows)
    except UserError:
        event("refused with a fixed format")
    if fixed.quoting == "backslash" and not ESCAPE.search(content):
        return  # doubled backslashes look the same as two backslashes of a text
    try:
        assert_same(*read(path, COLUMNS), rows)
    except UserError:
        event("refused")


@many
@given(st.lists(texts.filter(str.strip), min_size=1, max_size=8), writers, ends, names)
def test_tables_of_one_column(
    folder: Path, drawn: list[str], write: Callable[..., str], end: str, name: str
) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator=end).writerows([["review"], *([text] for text in drawn)])
    if end == "\r" and "\r\n" in file.getvalue():
        return
    path = save(folder / name, file.getvalue(), "utf-8")
    try:
        rows, repairs = read(path, ["review"])
    except UserError:
        event("refused")
    else:
        pairs = [(text, "1") for (text,) in rows]
        assert_same(pairs, repairs, [(text, "1") for text in drawn])


@many
@given(
    tables(), st.sampled_from(ENCODINGS), st.booleans(), st.sampled_from(["r.json", "r", "r.csv"])
)
def test_json(folder: Path, rows: Rows, encoding: str, is_ascii: bool, name: str) -> None:
    objects = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    lines = "".join(json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in objects)
    array = json.dumps(objects, ensure_ascii=is_ascii, indent=1 if is_ascii else None)
    for content in (lines, array):
        assert_same(*read(save(folder / name, content, encoding), COLUMNS), rows)


@many
@given(tables(), st.booleans())
def test_parquet(folder: Path, rows: Rows, with_lists: bool) -> None:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if with_lists:
        table["stars"] = [[label] for label in table["stars"]]
    table.to_parquet(folder / "r.parquet")
    assert_same(*read(folder / "r.parquet", COLUMNS), rows)


NOT_IN_XML = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="\x7f")


@settings(many, max_examples=30)
@given(tables(st.text(st.one_of(NOT_IN_XML, st.just("\n")), max_size=12)))
def test_excel(folder: Path, rows: Rows) -> None:
    cells = [(f"'{text}" if text.startswith("=") else text, label) for text, label in rows]
    pd.DataFrame(cells, columns=list(COLUMNS)).to_excel(folder / "r.xlsx", index=False)
    try:
        found, repairs = read(folder / "r.xlsx", COLUMNS)
    except UserError:
        event("refused")
    else:
        assert_same(found, repairs, cells)


one_line = texts.map(lambda text: " ".join(text.split()))


@many
@given(tables(one_line.filter(lambda text: "__label__" not in text)))
def test_fasttext(folder: Path, rows: Rows) -> None:
    content = "".join(f"__label__{label} {text}\n" for text, label in rows)
    path = save(folder / "train.txt", content, "utf-8")
    assert_same(*read(path, ["text", "label"]), rows)


@many
@given(tables(one_line), separators, ends, st.sampled_from(ENCODINGS), names)
def test_tables_without_quoting(
    folder: Path, rows: Rows, separator: str, end: str, encoding: str, name: str
) -> None:
    rows = [(text.replace(separator, " "), label) for text, label in rows]
    content = "".join(f"{text}{separator}{label}{end}" for text, label in [COLUMNS, *rows])
    path = save(folder / name, content, encoding)
    known = Format(quoting="none", separator=separator, header="first", skip=0)
    assert_same(*read(path, COLUMNS, known), rows)
    if any(text.startswith('"') or "\\" in text for text, _ in rows):
        return  # marks around a whole text, and backslashes, may be quoting as well
    try:
        assert_same(*read(path, COLUMNS), rows)
    except UserError:
        event("refused")


ORDINARY = [(f"the room was good, number {number}", str(number % 5 + 1)) for number in range(40)]
WITH_MARKS = [(f'they call it "good", number {n}', str(n % 5 + 1)) for n in range(40)]


@pytest.mark.parametrize(
    ("write", "separator", "end", "quoting"),
    list(
        product(
            [with_csv_module, with_pandas],
            [",", ";", "\t", "|"],
            ["\n", "\r\n", "\r"],
            ["minimal", "all", "texts", "all escaped"],
        )
    ),
)
def test_an_ordinary_table_is_never_refused(
    write: Callable[..., str], separator: str, end: str, quoting: str, folder: Path
) -> None:
    _, options = QUOTING[quoting]
    for rows, encoding, name in product(
        [ORDINARY, WITH_MARKS], ["utf-8", "utf-8-sig", "utf-16"], ["r.csv", "r.tsv", "r.txt", "r"]
    ):
        path = save(folder / name, write(rows, separator, end, **options), encoding)
        assert_same(*read(path, COLUMNS), rows)
        excel = f"sep={separator}{end}" + write(rows, separator, end, **options)
        found, repairs = read(save(folder / name, excel, encoding), COLUMNS)
        assert repairs.pop("lines skipped before the header") == 1
        assert_same(found, repairs, rows)
