"""Tables and streams of texts to predict: as many texts come out as are in, in order."""

from pathlib import Path

import pytest

from ordinal.common.errors import UserError
from ordinal.common.formats import Format
from ordinal.prediction.inputs import rows_of_file, texts_of_lines

TEXTS = ["good room", "bad, bed", 'the "best" one', "é 🙂"]


def texts(path: Path, column: str = "review", fixed: Format | None = None) -> list[object]:
    chunks = rows_of_file(path, [column], fixed=fixed)
    return [text for chunk in chunks for text in chunk.texts]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_byte_order_marks(end: str, encoding: str, tmp_path: Path) -> None:
    cells = ['"' + text.replace('"', '""') + '"' for text in TEXTS]
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(["review", *cells, ""]).encode(encoding))
    assert texts(path) == TEXTS


def test_a_bare_carriage_return_within_a_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,review\n1,good\rroom\n2,bad\n")
    assert texts(path) == ["good\rroom", "bad"]


def test_a_table_without_a_header_has_columns_by_number(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("4,good room\n5,bad bed\n4,fine\n5,so-so\n")
    assert texts(path, "2") == ["good room", "bad bed", "fine", "so-so"]
    assert len(texts(path, "2", Format(header="none"))) == 4


def test_repairs_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\nreview,stars\ngood,1\nbad\n")
    assert texts(path) == ["good", "bad"]
    said = capsys.readouterr().err
    assert "lines skipped before the header: 1" in said
    assert "rows with too few columns: 1" in said


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        texts(tmp_path)
    with pytest.raises(UserError, match=r"gone\.csv is missing"):
        texts(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([b"\xef\xbb\xbfgood\r\n", b"bad\r\n", b"\n", b"last"], ["good", "bad", "", "last"]),
        ([b"good\rbad\rlast\r"], ["good", "bad", "last"]),
        ([b"good\rroom\n", b"bad"], ["good\rroom", "bad"]),
        ([b"good\r\r\n"], ["good\r"]),
    ],
)
def test_lines_of_a_stream(lines: list[bytes], expected: list[str]) -> None:
    assert [text for chunk in texts_of_lines(lines) for text in chunk] == expected
