"""Read the sheet of an Excel file (.xlsx)."""

import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ordinal.common.errors import UserError, quoted
from ordinal.common.formats import Format
from ordinal.data.compression import check_growth
from ordinal.data.headers import (
    SAMPLE_ROWS,
    choose_header,
    column_names,
    numbered,
    titles_before,
    width_of,
)
from ordinal.data.rows import is_blank, row_of

Row = tuple[object, ...]


def excel_format(
    path: Path, known: dict[str, Any], columns: Sequence[str] | None, name: str
) -> Format:
    """Return the format of an Excel file; see `ordinal.data.detection.detect`."""
    with excel_rows(path, name) as rows:
        sample = list(islice(rows, SAMPLE_ROWS))
    skip = known.get("skip")
    if skip is None:
        skip = titles_before(sample, width_of(sample), columns)
    header = known.get("header")
    if header is None:
        texts = [["" if cell is None else str(cell) for cell in row] for row in sample[skip:]]
        header = choose_header(texts[0], texts[1:], columns, name) if texts else "first"
    return Format(kind="xlsx", skip=skip, header=header)


@contextmanager
def excel_rows(path: Path, name: str) -> Iterator[Iterator[Row]]:
    """Yield the rows of the only sheet that has any, without empty cells and rows at the end.

    Raises:
        UserError: openpyxl is missing, or several sheets have rows.
    """
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise UserError(
            f"{name}: openpyxl is missing, which reads Excel files: install it with "
            "`pip install '.[excel]'`, or save the table as .csv"
        ) from None
    with zipfile.ZipFile(path) as archive:
        check_growth(path, sum(file.file_size for file in archive.infolist()))
    with path.open("rb") as file:
        with _damage_explained(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about parts such as charts, which are not read
            book = load_workbook(file, read_only=True, data_only=True)
        sheets = [sheet for sheet in book.worksheets if any(_filled_rows(sheet))]
        if len(sheets) > 1:
            names = ", ".join(quoted(sheet.title) for sheet in sheets)
            raise UserError(f"{name} has {len(sheets)} sheets with rows ({names}): keep one")
        if not sheets:
            raise ValueError("it is empty")
        yield _filled_rows(sheets[0])


def _filled_rows(sheet: Any) -> Iterator[Row]:
    from openpyxl.utils.escape import unescape

    waiting = 0
    with _damage_explained():
        for cells in sheet.iter_rows(values_only=True):
            row = [unescape(cell) if isinstance(cell, str) else cell for cell in cells]
            while row and is_blank(row[-1]):
                row.pop()
            if not row:
                waiting += 1  # an empty row counts if another follows
                continue
            yield from [()] * waiting
            waiting = 0
            yield tuple(row)


@contextmanager
def _damage_explained() -> Iterator[None]:
    """Turn the errors of openpyxl for a damaged file into a ValueError."""
    try:
        yield
    # ParseError of ElementTree is a SyntaxError.
    except (LookupError, TypeError, AttributeError, SyntaxError, ArithmeticError) as error:
        raise ValueError(f"the Excel file is damaged ({type(error).__name__}: {error})") from None


def excel_chunks(
    path: Path, found: Format, size: int, name: str, repairs: Counter[str]
) -> Iterator[tuple[list[str], list[list[object]]]]:
    """Yield the names of the columns, and at most `size` rows.

    Raises:
        UserError: a row is longer than the header.
    """
    with excel_rows(path, name) as rows:
        if skipped := sum(1 for _ in islice(rows, found.skip)):
            repairs["lines skipped before the header"] += skipped
        first = next(rows, ())
        names = numbered(len(first))
        if found.header == "first":
            names = column_names(first, repairs)
        else:
            rows = chain([first], rows)
        filled = (_filled(row, names, row_of(name, n)) for n, row in enumerate(rows, 1))
        chunk = list(islice(filled, size))
        yield names, chunk
        while chunk := list(islice(filled, size)):
            yield names, chunk


def _filled(row: Row, names: Sequence[str], place: str) -> list[object]:
    if len(row) > len(names):
        raise UserError(f"{place} has {len(row)} columns, the header has {len(names)}")
    return [*row, *[None] * (len(names) - len(row))]
