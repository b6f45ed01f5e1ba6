"""Tables as programs and people write them: read row for row, or refused by name."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordinal.common.errors import UserError
from ordinal.common.formats import Format
from ordinal.data.detection import detect
from ordinal.data.tables import read_table

Rows = list[tuple[object, ...]]
COLUMNS = ("review", "stars")
ROWS = [(f"room {number}, clean", str(number % 5 + 1)) for number in range(30)]
HEADER = "review,stars\n"


def read(
    path: Path,
    columns: Sequence[str] = COLUMNS,
    fixed: Format | None = None,
    repairs: Counter[str] | None = None,
) -> Rows:
    chunks = read_table(path, columns, path.name, fixed, repairs)
    return [row for chunk in chunks for row in chunk.itertuples(index=False, name=None)]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, columns: Sequence[str] = COLUMNS, fixed: Format | None = None) -> str:
    with pytest.raises(UserError) as raised:
        read(path, columns, fixed)
    assert path.name in str(raised.value)
    return str(raised.value)


def csv_of(rows: Sequence[Sequence[object]], **options: object) -> str:
    file = io.StringIO()
    csv.writer(file, **{"lineterminator": "\n"} | options).writerows([COLUMNS, *rows])  # type: ignore[arg-type]
    return file.getvalue()


# Quoting


def test_quotation_marks_in_a_table_without_quoting_are_text(tmp_path: Path) -> None:
    rows = [(f"room {number}", "4") for number in range(200)]
    rows[20] = ('"Just what I wanted, room 20', "5")
    rows[90] = ('room 90, said my wife "yes', "1")
    rows[150] = ('"Great"', "5")
    content = "".join(f"{text}\t{stars}\n" for text, stars in [COLUMNS, *rows])
    path = write(tmp_path / "r.tsv", content)
    assert detect(path, "r.tsv").quoting == "none"
    assert read(path) == rows


@pytest.mark.parametrize("separator", [",", ";", "|"])
def test_only_tables_with_tabs_are_taken_to_be_without_quoting(
    separator: str, tmp_path: Path
) -> None:
    content = "".join(f"room {number}{separator}4\n" for number in range(30))
    header = f"review{separator}stars\n"
    path = write(tmp_path / "r.csv", f'{header}{content}"odd{separator}5\n{content}')
    message = refusal(path)
    assert "row 31 (not counting the header) has a quotation mark that is never closed" in message
    assert "--format quoting=none" in message
    assert read(path, fixed=Format(quoting="none"))[30] == ('"odd', "5")


def test_blank_rows_in_a_table_without_quoting(tmp_path: Path) -> None:
    path = write(tmp_path / "r.tsv", 'review\tstars\n"a"\t1\n\nb\t2\n')
    assert read(path) == [('"a"', "1"), (None, None), ("b", "2")]


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_a_quotation_mark_that_swallows_rows_is_refused_by_its_row(
    separator: str, tmp_path: Path
) -> None:
    """The sample at the start of the file is quoted, but 30,000 rows later texts hold marks."""
    good = [
        f'"room {number}, {separator}clean"{separator}{number % 5}\n' for number in range(50_000)
    ]
    bad = [f'"wow{separator}4\n', f"fine{separator}3\n", f'so-so"{separator}2\n']
    path = write(tmp_path / "r.csv", f"review{separator}stars\n" + "".join([*good, *bad]))
    message = refusal(path)
    assert "row 50001 (not counting the header)" in message
    assert "quoting: none" in message


def test_rows_that_a_quoted_text_swallows_are_found_by_their_labels(tmp_path: Path) -> None:
    good = "".join(f"room {number},{number % 5 + 1}\n" for number in range(100))
    quoted_texts = "".join(f'"nice, clean\nand, big {number}",4\n' for number in range(5))
    swallowed = '"wow great,5\nit was bad",1\n'
    path = write(tmp_path / "r.csv", HEADER + good + quoted_texts)
    assert len(read(path)) == 105
    path = write(tmp_path / "r.csv", HEADER + quoted_texts + good + swallowed)
    assert "row 106 (not counting the header)" in refusal(path)
    fixed = Format(quoting="standard")
    assert read(path, fixed=fixed)[-1] == ("wow great,5\nit was bad", "1")


def test_quotation_marks_escaped_by_backslashes(tmp_path: Path) -> None:
    rows = [(f'I said "wow, {number}" \\ twice', "4") for number in range(30)]
    options = {"doublequote": False, "escapechar": "\\", "quoting": csv.QUOTE_NONNUMERIC}
    path = write(tmp_path / "r.csv", csv_of(rows, **options))
    assert r"\"wow" in path.read_text()
    assert detect(path, "r.csv").quoting == "backslash"
    assert read(path) == rows
    path = write(tmp_path / "r.csv", HEADER + '"I said \\"wow\\" 0",5\n' * 30)
    assert read(path) == [('I said "wow" 0', "5")] * 30


def test_backslashes_that_escape_nothing_are_text_in_a_sample_cut_within_a_text(
    tmp_path: Path,
) -> None:
    paths = [("in C:\\data, room", "4")] * 8_000
    rows = [*paths, ("in C:\\data, drive D:\\", "4"), *[("fine " * 20, "5")] * 2_000]
    path = write(tmp_path / "r.csv", csv_of(rows))
    assert read(path) == rows


def test_a_backslash_with_another_meaning_is_refused_by_its_row(tmp_path: Path) -> None:
    content = HEADER + '"I said \\"wow\\"",5\n' * 30 + '"one\\ntwo",4\n'
    message = refusal(write(tmp_path / "r.csv", content), fixed=Format(quoting="backslash"))
    assert "row 31 (not counting the header)" in message
    assert r"\n" in message


def test_a_backslash_at_the_end_of_a_quoted_text_is_text(tmp_path: Path) -> None:
    rows = [("C:\\dir\\", "1"), ('a "quoted" word, and \\', "2"), ("plain", "3")]
    path = write(tmp_path / "r.csv", csv_of(rows, quoting=csv.QUOTE_ALL))
    assert detect(path, "r.csv").quoting == "standard"
    assert read(path) == rows


def test_two_readings_of_the_same_marks_are_refused_with_the_line_to_add(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", HEADER + 'so \\"so\\",5\n' * 3)
    message = refusal(path)
    assert "quoting: backslash" in message
    assert "quoting: standard" in message
    assert read(path, fixed=Format(quoting="backslash"))[0] == ('so "so"', "5")
    assert read(path, fixed=Format(quoting="standard"))[0] == ('so \\"so\\"', "5")


def test_a_mark_that_is_not_doubled_is_refused_by_its_row(tmp_path: Path) -> None:
    rows = [f'"room {number}","4"\n' for number in range(30)]
    rows[7] = '"a "good" room","4"\n'
    message = refusal(write(tmp_path / "r.csv", HEADER + "".join(rows)))
    assert "row 8 (not counting the header)" in message
    assert "quotation mark" in message


# Header


@pytest.mark.parametrize(
    "content",
    [
        '"5","the bar was lovely"\n"1","the pool was awful"\n"5","fine"\n',
        "the bar was lovely,good\nthe pool was awful,bad\nfine,good\nwell,good\nno,bad\n",
        "12,the bar was lovely,5\n13,the pool was awful,1\n",
        "the room was clean " * 10 + ",first\nfine,second\n",
    ],
)
def test_a_first_row_that_is_data_is_never_taken_for_the_header(
    content: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "r.csv", content)
    names = content.partition("\n")[0].replace('"', "").split(",")
    for columns in (None, names[:2]):
        message = refusal(path, columns)  # type: ignore[arg-type]
        assert "header none" in message
        assert "header: none" in message
    rows = read(path, ["2", "1"], Format(header="none"))
    assert rows[0] == (names[1], names[0])
    assert len(rows) == content.count("\n")
    assert read(path, ["2", "1"]) == rows  # columns by number mean that there is no header


@pytest.mark.parametrize(
    "header",
    [
        "0,1",
        ",review",
        "review,stars",
        "How would you describe your stay in the hotel in your own words? Please be brief,Your age",
        "2,label",
    ],
)
def test_odd_names_of_columns_are_names(header: str, tmp_path: Path) -> None:
    names = header.split(",")
    path = write(tmp_path / "r.csv", f"{header}\nfine,4\nbad,1\nfine,5\n")
    assert read(path, names) == [("fine", "4"), ("bad", "1"), ("fine", "5")]


def test_a_header_can_be_confirmed(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "1,review\n1,fine\n0,bad\n0,no\n1,yes\n")
    assert "header" in refusal(path, ["1"])
    assert read(path, ["1"], Format(header="first")) == [("1",), ("0",), ("0",), ("1",)]


# What precedes the header, and separators


@pytest.mark.parametrize(
    ("before", "skipped"),
    [
        ("\n", 1),
        ("\n\n  \n", 3),
        ("sep=,\n", 1),
        ("SEP=,\r\n\r\n", 2),
        ("Reviews of 2024\n", 1),
        ("Reviews of 2024\n\nby the staff\n\n", 4),
    ],
)
def test_lines_before_the_header_are_skipped_and_counted(
    before: str, skipped: int, tmp_path: Path
) -> None:
    repairs: Counter[str] = Counter()
    path = write(tmp_path / "r.csv", before + csv_of(ROWS))
    assert read(path, repairs=repairs) == ROWS
    assert repairs == {"lines skipped before the header": skipped}
    assert detect(path, "r.csv").skip == skipped


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "data"])
def test_the_separator_follows_from_the_content(
    separator: str, ending: str, tmp_path: Path
) -> None:
    rows = [*ROWS, ("one; two\tthree, four | five", "1"), ('"so"', "2"), ("a\nb", "3")]
    path = write(tmp_path / f"r.{ending}", csv_of(rows, delimiter=separator))
    assert detect(path, path.name).separator == separator
    assert read(path) == rows


def test_excels_separator_line_goes_before_all_else(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "sep=;\na,b;c,d\n1,2;3,4\n")
    assert read(path, ["a,b", "c,d"]) == [("1,2", "3,4")]


def test_two_separators_that_fit_are_refused_with_the_line_to_add(tmp_path: Path) -> None:
    path = write(tmp_path / "r.data", "a;b|c\n1;2|3\n")
    assert "separator: semicolon" in refusal(path, ["b"])
    assert read(path, ["a"], Format(separator=";")) == [("1",)]
    assert read(path, ["c"]) == [("3",)]  # only one of them has this column


@pytest.mark.parametrize(("name", "character"), [("tab", "\t"), ("comma", ","), (";", ";")])
def test_separators_have_names(name: str, character: str) -> None:
    assert Format(separator=name).separator == character


# Lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark(end: str, mark: str, tmp_path: Path) -> None:
    rows = [*ROWS, ('a "b"', "4"), (f"first{end}second", "2")]
    path = write(tmp_path / "r.csv", mark + csv_of(rows, lineterminator=end))
    assert read(path) == rows


def test_a_bare_carriage_return_in_a_text_is_text(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "stars,review\n4,one\rtwo\n5,three\n3,\rfour\n")
    assert read(path) == [("one\rtwo", "4"), ("three", "5"), ("\rfour", "3")]


def test_a_carriage_return_at_the_end_of_a_line_is_counted(tmp_path: Path) -> None:
    repairs: Counter[str] = Counter()
    path = write(tmp_path / "r.csv", "stars,review\n4,one\r\n5,two\n")
    assert read(path, repairs=repairs) == [("one", "4"), ("two", "5")]
    assert repairs == {"carriage returns removed from ends of lines": 1}


def test_a_short_row_is_filled_and_counted_and_a_long_one_refused(tmp_path: Path) -> None:
    repairs: Counter[str] = Counter()
    path = write(tmp_path / "r.csv", csv_of(ROWS) + "good\n")
    assert read(path, repairs=repairs) == [*ROWS, ("good", None)]
    assert repairs == {"rows with too few columns": 1}
    message = refusal(write(tmp_path / "r.csv", csv_of(ROWS) + "good, really,4\n"))
    assert "row 31 (not counting the header) has 3 columns, the header has 2" in message


def test_column_names_are_stripped_counted_and_compared_in_one_unicode_form(
    tmp_path: Path,
) -> None:
    repairs: Counter[str] = Counter()
    path = write(tmp_path / "r.csv", " re\u0301sume\u0301 , stars\nfine,4\n")
    assert read(path, ["résumé", "stars"], repairs=repairs) == [("fine", "4")]
    assert read(path, ["re\u0301sume\u0301", " stars"]) == [("fine", "4")]
    assert repairs == {"column names stripped of spaces": 2}
    path = write(tmp_path / "r.csv", "review,review ,stars\na,b,4\n")
    assert "2 columns are named 'review'" in refusal(path)


def test_the_rows_are_counted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that loses rows is found out."""
    real = csv.reader

    class Lossy:
        def __init__(self, *arguments: object, **options: object) -> None:
            self.reader = real(*arguments, **options)  # type: ignore[arg-type]

        def __iter__(self) -> "Lossy":
            return self

        def __next__(self) -> list[str]:
            row = next(self.reader)
            return next(self.reader) if row[0] == "room 7, clean" else row

        @property
        def line_num(self) -> int:
            return self.reader.line_num

    path = write(tmp_path / "r.csv", csv_of(ROWS))
    monkeypatch.setattr("csv.reader", Lossy)
    assert "29 rows" in refusal(path)


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_recognised(encoding: str, tmp_path: Path) -> None:
    rows = [*ROWS, ("élevé 评论 🙂", "4")]
    path = write(tmp_path / "r.csv", csv_of(rows).encode(encoding))
    assert read(path) == rows
    path = write(tmp_path / "r.tsv", csv_of(rows, delimiter="\t").encode(encoding))
    assert read(path) == rows
    lines = "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)
    assert read(write(tmp_path / "r.jsonl", lines.encode(encoding))) == rows


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Das Frühstück war schön, „gemütlich“ – très bien"),
        ("gb18030", "这次住的床铺难受而且房间很肮脏号码是花园我们去看了"),
        ("cp1251", "Очень хороший отель, номер чистый и уютный, персонал вежливый"),
        ("utf-16-le", "the room was clean"),
    ],
)
def test_another_encoding_is_named_and_can_be_fixed(
    encoding: str, text: str, tmp_path: Path
) -> None:
    rows = [(f"{text} {number}", "4") for number in range(30)]
    path = write(tmp_path / "r.csv", csv_of(rows).encode(encoding))
    assert f"encoding: {encoding}" in refusal(path)
    assert read(path, fixed=Format(encoding=encoding)) == rows


def test_bytes_that_are_not_utf8_are_found_wherever_they_are(tmp_path: Path) -> None:
    content = csv_of(ROWS * 20_000).encode() + "fünf,4\n".encode("cp1252")
    message = refusal(write(tmp_path / "r.csv", content))
    assert "line 600002: not UTF-8" in message
    assert "encoding: cp1252" in message


# Kinds


def lines_of(rows: Sequence[Sequence[object]] = ROWS) -> str:
    return "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)


ARRAY = json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in ROWS], indent=1)
FASTTEXT = "".join(f"__label__{stars} {text}\n" for text, stars in ROWS)


def parquet_of(rows: Sequence[Sequence[object]] = ROWS) -> bytes:
    file = io.BytesIO()
    columns = [[row[number] for row in rows] for number in range(len(COLUMNS))]
    pq.write_table(pa.table(columns, list(COLUMNS)), file)
    return file.getvalue()


def xlsx_of(rows: Sequence[Sequence[object]], sheets: int = 1) -> bytes:
    file = io.BytesIO()
    with pd.ExcelWriter(file) as writer:
        for sheet in range(sheets):
            table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
            table.to_excel(writer, sheet_name=f"s{sheet}", index=False)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (csv_of(ROWS).encode(), "csv"),
        (lines_of().encode(), "jsonl"),
        (ARRAY.encode(), "json"),
        (parquet_of(), "parquet"),
        (xlsx_of(ROWS), "xlsx"),
    ],
)
@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.json", "r.jsonl", "r.txt", "r.xlsx", "r"])
def test_the_kind_follows_from_the_content(
    content: bytes, kind: str, name: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, content)
    assert detect(path, name).kind == kind
    assert read(path) == ROWS


def zipped(**files: bytes | str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("content", [csv_of(ROWS), lines_of(), ARRAY], ids=["csv", "jsonl", "json"])
@pytest.mark.parametrize("name", ["r.json.gz", "archive.zip", "r"])
def test_a_compressed_table_is_read_whatever_its_name(
    content: str, name: str, tmp_path: Path
) -> None:
    data = content.encode()
    packed = {
        "gzip": gzip.compress(data),
        "bzip2": bz2.compress(data),
        "xz": lzma.compress(data),
        "zstd": pa.Codec("zstd").compress(data, asbytes=True),
        "zip": zipped(**{"folder/reviews 1": data, "__MACOSX/._r": "x", ".DS_Store": "x"}),
    }
    for compression, bytes_ in packed.items():
        path = write(tmp_path / name, bytes_)
        assert detect(path, name).compression == compression
        assert read(path) == ROWS


def test_fasttext(tmp_path: Path) -> None:
    path = write(tmp_path / "train.txt", FASTTEXT + "no label\n\n__label__4\n")
    assert detect(path, "train.txt").kind == "fasttext"
    expected = [*ROWS, ("no label", None), (None, None), (None, "4")]
    assert read(path, ["text", "label"]) == expected
    message = refusal(
        write(tmp_path / "train.txt", FASTTEXT + "__label__4 __label__5 so\n"), ["text"]
    )
    assert "row 31" in message
    assert "2 labels" in message


def test_a_json_array_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ordinal.data.json_rows.BLOCK", 7)
    assert read(write(tmp_path / "r.json", ARRAY)) == ROWS
    assert read(write(tmp_path / "r.json", json.dumps(json.loads(ARRAY)))) == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"review": "a", "stars": 1}, {"review": "b"', "row 2: not valid JSON"),
        ('[{"review": "a", "stars": 1} {"review": "b", "stars": 1}]', "row 2: not valid JSON"),
        ('[{"review": "a", "stars": 1}, ["b", 2]]', "row 2: not an object in braces"),
        ('[{"review": "a", "stars": 1}]]', "text after the end of the array"),
        ('[{"review": "a", "stars": 1}', "row 2: not valid JSON"),
        ('{"review": ["a"], "stars": [1]}', None),
        ('{\n"reviews": [\n{"review": "a", "stars": 1}\n]}', "an object, not a list of rows"),
        ('{"data": [{"review": "a"}]}', "no column 'review'; it has 'data'"),
    ],
)
def test_json_that_is_no_list_of_rows_is_refused(
    content: str, message: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path / "r.json", content)
    if message is None:
        assert read(path) == [("a", 1)]
    else:
        assert message in refusal(path)


def test_a_key_in_two_spellings_is_refused_wherever_it_is(tmp_path: Path) -> None:
    rows = [{"review": f"room {number}", "stars": 4} for number in range(10_000)]
    rows += [{"review": "a", "stars": 1}, {"review ": "b", "stars": 2}]  # type: ignore[dict-item]
    path = write(tmp_path / "r.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert "2 columns are named 'review'" in refusal(path)


def test_a_key_that_is_missing_in_many_rows_is_a_blank_cell(tmp_path: Path) -> None:
    few = [{"review": f"room {number}"} for number in range(20_000)]
    rows = [{"review": "first", "stars": 5}, *few, {"review": "last", "stars": 4}]
    path = write(tmp_path / "r.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    cells = read(path)
    assert len(cells) == 20_002
    assert cells[-2:] == [("room 19999", None), ("last", 4)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(csv_of(ROWS).encode())[:-20], "ended before"),
        (bz2.compress(csv_of(ROWS).encode())[:-20], "ended before"),
        (lzma.compress(csv_of(ROWS).encode())[:-20], "ended before"),
        (pa.Codec("zstd").compress(csv_of(ROWS).encode(), asbytes=True)[:-20], "runcated"),
        (zipped(**{"r.csv": csv_of(ROWS)})[:-20], "not a zip file"),
        (parquet_of()[:-20], "magic bytes"),
        (xlsx_of(ROWS)[:-20], "not a zip file"),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "zip", "parquet", "xlsx"],
)
def test_a_file_that_is_cut_off_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(write(tmp_path / "r", content))


def test_the_error_of_a_damaged_archive_quotes_little_of_it(tmp_path: Path) -> None:
    """Wrong lengths of names make zipfile quote as many bytes of the file."""
    content = bytearray(xlsx_of(ROWS))
    for header in re.finditer(b"PK\x03\x04", bytes(content)):
        content[header.start() + 26 : header.start() + 28] = (1500).to_bytes(2, "little")
    message = refusal(write(tmp_path / "r.xlsx", bytes(content)))
    assert "can't be read" in message
    assert len(message) < 500


def test_a_table_without_rows_has_columns(tmp_path: Path) -> None:
    for name, content in {"r.csv": HEADER, "r.parquet": parquet_of([])}.items():
        path = write(tmp_path / name, content)
        assert read(path) == []
        assert "no column 'text'; it has 'review', 'stars'" in refusal(path, ["text"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old Excel file"),
        ("r.docx", zipped(**{"[Content_Types].xml": "", "word/document.xml": ""}), "Word document"),
        (
            "r.ods",
            zipped(mimetype="application/vnd.oasis.opendocument.spreadsheet"),
            "OpenDocument",
        ),
        ("r.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
        ("r.pkl", b"\x80\x04\x95\x00\x01\xff\xfe\x00\x00", "not a table"),
        ("r.zip", zipped(**{"a.csv": csv_of(ROWS), "b.csv": csv_of(ROWS)}), "2 files"),
        ("r.zip", zipped(**{"a.csv.gz": gzip.compress(b"x")}), "compressed twice"),
        ("r.zip", zipped(**{"a.parquet": parquet_of()}), "unpack it first"),
        ("r.tar.gz", gzip.compress(b"r.csv" + b"\0" * 252 + b"ustar  \0" + b"\0" * 300), "tar"),
        ("r.csv", b"", "it is empty"),
        ("r.csv", b"\n \n", "it is empty"),
        ("r.feather", b"ARROW1\0\0" + b"\0" * 100, "Arrow"),
        ("r.xlsx", xlsx_of(ROWS, sheets=2), "2 sheets"),
        ("r.db", b"SQLite format 3\0" + b"\0" * 100, "SQLite"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_its_kind(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    assert message in refusal(write(tmp_path / name, content))


def test_a_folder_is_refused_and_its_files_named(tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    assert "reviews is a folder: name a file" in refusal(folder)
    write(folder / "r.csv", csv_of(ROWS))
    assert "such as" in refusal(folder)
    assert "r.csv" in refusal(folder)


def test_an_excel_sheet_keeps_its_types_and_loses_its_empty_rows(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["Reviews of 2024"])
    book.active.append([])
    book.active.append(["review", "stars", None])
    book.active.append(["fine\nroom", 4])
    book.active.append([])
    book.active.append(["bad", 1.5])
    book.active["A9"] = ""
    book.create_sheet("empty")
    book.save(tmp_path / "r.xlsx")
    repairs: Counter[str] = Counter()
    rows = read(tmp_path / "r.xlsx", repairs=repairs)
    assert rows == [("fine\nroom", 4), (None, None), ("bad", 1.5)]
    assert repairs == {"lines skipped before the header": 2}


def test_without_openpyxl_a_sentence_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "r.xlsx", xlsx_of(ROWS))
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert "pip install '.[excel]'" in refusal(path)


def test_a_field_that_the_kind_does_not_have_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.parquet", parquet_of())
    assert "separator" in refusal(path, fixed=Format(separator=";"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"separator": ",,"}, "one character"),
        ({"separator": '"'}, "one character"),
        ({"encoding": "base64"}, "not an encoding"),
        ({"encoding": "latin-99"}, "not an encoding"),
        ({"skip": -1}, "greater than or equal to 0"),
        ({"quotes": "none"}, "Extra inputs"),
    ],
)
def test_a_format_that_no_file_has_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Format.model_validate(fields)
