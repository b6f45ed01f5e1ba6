"""Find out the format of a table from its bytes. The ending of its name decides only in doubt."""

import codecs
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from ordinal.common.errors import UserError, one_line
from ordinal.common.formats import FIELDS_OF, Compression, Format, Kind, advice
from ordinal.data.compression import compression_of, inner_name, opened
from ordinal.data.dialects import Sample, choose_reading
from ordinal.data.excel import excel_format
from ordinal.data.headers import SAMPLE_ROWS, choose_header

SAMPLE = 1 << 18  # bytes
ENCODING_OF_MARK = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""The mark of UTF-32 begins with that of UTF-16, so the order matters."""
COMMON_ENCODINGS = ["cp1252", "gb18030", "cp932", "euc_kr", "big5", "cp1251", "cp1250", "cp1253"]
NOT_TABLES = {
    b"\xd0\xcf\x11\xe0": "an old Excel file: save it as .xlsx or .csv",
    b"%PDF": "a PDF file: extract its table first",
    b"ARROW1": "an Arrow or Feather file: save it as Parquet",
    b"ORC": "an ORC file: save it as Parquet",
    b"Obj\1": "an Avro file: save it as Parquet",
    b"SQLite": "an SQLite database: export its table as CSV",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
}
"""First bytes of files that hold no table of ours."""
NOT_TABLES_BY_MEMBER = {
    "word/document.xml": "a Word document: save its table as .csv",
    "xl/workbook.bin": "a binary Excel file: save it as .xlsx",
}
"""Members of zip archives that hold no table of ours."""
HTML = re.compile(r"(?i)<!doctype html|<html")


def detect(
    path: Path, name: str, fixed: Format | None = None, columns: Sequence[str] | None = None
) -> Format:
    """Return the format of a table.

    Args:
        path: The file.
        name: The name of the file in error messages, since `path` may be a temporary file.
        fixed: Fields that are known; the others are detected.
        columns: The columns that will be read, if they are known.

    Raises:
        UserError: the file is no table, or its format is not clear.
    """
    refuse_folder(path, name)
    known = fixed.fixed() if fixed else {}
    with explained(name):
        start = _start_of(path, "none")
        _refuse_other_kinds(start, name)
        kind: Kind = known.get("kind") or _binary_kind(path, start, name) or "csv"
        if kind == "parquet":
            found = Format(kind="parquet")
        elif kind == "xlsx":
            found = excel_format(path, known, columns, name)
        else:
            known.setdefault("compression", compression_of(start))
            found = _detect_text(path, known, columns, name)
    if wrong := known.keys() - set(FIELDS_OF[found.kind]) - {"compression"}:
        raise UserError(f"{name}: a table of the kind {found.kind} has no {min(wrong)}: remove it")
    return found


@contextmanager
def explained(name: str, kind: str | None = None) -> Iterator[None]:
    """Turn the errors of a library that reads a file into a UserError."""
    try:
        yield
    except UnicodeDecodeError:
        raise
    except (
        ValueError,
        OSError,
        EOFError,
        NotImplementedError,  # a compression method that zipfile doesn't know
        lzma.LZMAError,
        zipfile.BadZipFile,
        zlib.error,
        pa.ArrowException,
    ) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        reason = one_line(error).rstrip(". ")  # zipfile quotes the bytes of a damaged header
        as_kind = f" as {kind}" if kind else ""
        raise UserError(f"{name}: can't be read{as_kind}: {reason}") from None


def refuse_folder(path: Path, name: str) -> None:
    """Pass if a path is not a folder.

    Raises:
        UserError: it is one.
    """
    if path.is_dir():
        files = sorted(file.name for file in path.iterdir() if file.is_file())
        example = f", such as {path / files[0]}" if files else ""
        raise UserError(f"{name} is a folder: name a file in it{example}")


def _start_of(path: Path, compression: Compression) -> bytes:
    with opened(path, compression) as file:
        return file.read(SAMPLE)


def _refuse_other_kinds(start: bytes, name: str) -> None:
    for magic, what in NOT_TABLES.items():
        if start.startswith(magic):
            raise UserError(f"{name} is {what}")
    if start[257:262] == b"ustar":
        raise UserError(f"{name} contains a tar archive: unpack it first")


def _binary_kind(path: Path, start: bytes, name: str) -> Kind | None:
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"PK") and zipfile.is_zipfile(path):
        return _kind_by_members(path, name)
    return None


def _kind_by_members(path: Path, name: str) -> Kind | None:
    """Return "xlsx" for an Excel file, and None for an archive that may contain a table."""
    with zipfile.ZipFile(path) as archive:
        members = set(archive.namelist())
        mimetype = archive.read("mimetype") if "mimetype" in members else b""
    for member, what in NOT_TABLES_BY_MEMBER.items():
        if member in members:
            raise UserError(f"{name} is {what}")
    if b"opendocument" in mimetype:
        raise UserError(f"{name} is an OpenDocument file: save it as .xlsx or .csv")
    return "xlsx" if "xl/workbook.xml" in members else None


def _detect_text(
    path: Path, known: dict[str, Any], columns: Sequence[str] | None, name: str
) -> Format:
    compression: Compression = known["compression"]
    start = _start_of(path, compression)
    if compression != "none":
        _refuse_other_kinds(start, name)
        if compression_of(start) != "none":
            raise ValueError("it is compressed twice: unpack it first")
        if start.startswith(b"PAR1"):
            raise ValueError("it contains a Parquet file: unpack it first")
    is_whole = len(start) < SAMPLE
    if "encoding" not in known:
        known["encoding"] = _encoding_of(start, is_whole, name)
    text = _decoded(start, known["encoding"], is_whole, name).removeprefix("\ufeff")
    if not text.strip():
        raise ValueError("it is empty")
    inner = inner_name(path, compression)
    if "kind" not in known:
        known["kind"] = _text_kind(text, inner, name)
    if known["kind"] != "csv":
        return Format(**known)
    reading = choose_reading(Sample.of(text, is_whole), known, inner, columns, name)
    known |= {"separator": reading.separator, "quoting": reading.quoting, "skip": reading.skip}
    if "header" not in known and reading.rows:
        header, *rows = reading.rows[:SAMPLE_ROWS]
        known["header"] = choose_header(header, rows, columns, name)
    return Format(**known)


def _text_kind(text: str, inner: str, name: str) -> Kind:
    text = text.lstrip()
    if HTML.match(text):
        raise UserError(f"{name} is an HTML page, not a table: download the file itself")
    # A CSV may begin with a bracket, too.
    is_named_json = inner.endswith((".json", ".jsonl", ".ndjson"))
    array, object_ = (r"\[", r"\{") if is_named_json else (r"\[\s*[{\]]", r'\{\s*["}]')
    if re.match(array, text):
        return "json"
    if re.match(object_, text):
        _refuse_object_of_many_lines(text, name)
        return "jsonl"
    return "fasttext" if text.startswith("__label__") else "csv"


def _refuse_object_of_many_lines(text: str, name: str) -> None:
    first, _, rest = text.partition("\n")
    if rest.strip() and first.rstrip().endswith(("{", "[", ",")):
        raise UserError(
            f"{name}: it is an object, not a list of rows: write an array, or one row per line"
        )


def _encoding_of(start: bytes, is_whole: bool, name: str) -> str:
    for mark, encoding in ENCODING_OF_MARK.items():
        if start.startswith(mark):
            return encoding
    for encoding, zeros, others in (
        ("utf-16-le", start[1::2], start[::2]),
        ("utf-16-be", start[::2], start[1::2]),
    ):
        if zeros.count(0) > len(zeros) / 2 and others.count(0) < len(others) / 10:
            raise undecodable(name, 1, "utf-8", b"", encoding)
    _decoded(start, "utf-8", is_whole, name)
    return "utf-8"


def _decoded(start: bytes, encoding: str, is_whole: bool, name: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(start, is_whole)
    except UnicodeDecodeError as error:
        line = start.count(b"\n", 0, error.start) + 1
        raise undecodable(name, line, encoding, start[max(0, error.start - 1000) :]) from None


def undecodable(
    name: str, line: int, encoding: str, data: bytes, likely: str | None = None
) -> UserError:
    """Return the error for a file that does not have the encoding that it was read with."""
    if b"\0" in data:
        return UserError(
            f"{name} is not a table: use CSV, TSV, JSON, JSON Lines, fastText, Parquet or .xlsx"
        )
    likely = likely or _likely_encoding(data[: 1 << 16])
    wanted = "UTF-8" if encoding.startswith("utf-8") else encoding
    return UserError(
        f"{name}, line {line}: not {wanted}: save the file as UTF-8, or, if it is {likely}, "
        f"{advice('encoding', likely)}"
    )


def _likely_encoding(data: bytes) -> str:
    if sum(byte > 127 for byte in data) < len(data) / 5:
        return "cp1252"  # a language in Latin script
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=COMMON_ENCODINGS).best()
    return best.encoding if best else "cp1252"


def first_undecodable(path: Path, found: Format, name: str) -> UserError:
    """Return the error for a file whose decoding failed somewhere, with the number of the line."""
    decoder = codecs.getincrementaldecoder(found.encoding)()
    with opened(path, found.compression) as file:
        for number, line in enumerate(file, 1):
            try:
                decoder.decode(line)
            except UnicodeDecodeError:
                return undecodable(name, number, found.encoding, line + file.read(SAMPLE))
    return undecodable(name, number, found.encoding, line)
