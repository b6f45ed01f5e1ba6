"""Open the files of a data set: one file, or one per part."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ordinal.common.errors import UserError, quoted
from ordinal.common.formats import Format
from ordinal.common.parts import File, part_of
from ordinal.common.paths import PARTS
from ordinal.data.carried import table_schema
from ordinal.data.headers import name_key, refuse_missing
from ordinal.data.reviews import Layout, Source
from ordinal.data.tables import read_table


def files_of_parts(folder: Path) -> dict[str, Path]:
    """Return the file of each part in a folder: train.*, validation.* (valid, val, dev), test.*.

    Other files are ignored.

    Raises:
        UserError: there is no train.*, or there are two files of one part.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = _part_in(path)
        if part is None:
            continue
        if part in files:
            raise UserError(
                f"{folder} has two files for {part}, {files[part].name} and {path.name}: keep one"
            )
        files[part] = path
    if "train" not in files:
        raise _no_parts(folder)
    return {part: files[part] for part in PARTS if part in files}


def _part_in(path: Path) -> str | None:
    """Return the part that a table's name says it holds, or None."""
    is_table = path.suffix not in ("", ".dvc") and path.is_file()
    return part_of(path.name.partition(".")[0]) if is_table else None


def _no_parts(folder: Path) -> UserError:
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    example = f", such as {folder / files[0]}" if files else ""
    return UserError(
        f"data.name: {folder} is a folder: name a file in it{example}, or put train.*, "
        "validation.* and test.* there"
    )


def columns_to_keep(
    keep: Sequence[str], used: Sequence[str], split_column: str | None
) -> list[str]:
    """Return the columns to keep, with the one that the split needs.

    Args:
        keep: The parameter `data.keep`.
        used: The columns of the texts and the labels.
        split_column: The parameter `split.column`, if the source has to have that column.

    Raises:
        UserError: one of them is the column of a text or of the labels.
    """
    names = {"data.keep": keep, "split.column": [split_column] if split_column else []}
    taken = set(map(name_key, used))
    for parameter, columns in names.items():
        if again := [column for column in columns if name_key(column) in taken]:
            raise UserError(
                f"{parameter}: {quoted(again[0])} is already the text or the label: name another "
                "column"
            )
    return list(dict.fromkeys(name_key(column) for columns in names.values() for column in columns))


def open_files(
    files: Sequence[File],
    texts: Sequence[str],
    label: str,
    keep: Sequence[str],
    fixed: Format,
    repairs: Counter[str],
) -> tuple[list[Source], Layout]:
    """Return the rows of files, and the columns that they have in common.

    Args:
        files: The files.
        texts: The text columns.
        label: The label column.
        keep: Other columns.
        fixed: What is known of the format; all else is detected.
        repairs: Counts what is repaired when the rows are read, by kind.

    Raises:
        UserError: a file can't be read, or lacks one of the columns to keep.
    """
    used = [*texts, label]
    sources = [
        Source(file.name, read_table(file.path, used, file.name, fixed, repairs, keep), file.part)
        for file in files
    ]
    schemas = [_kept(file, used, keep, fixed) for file in files] if keep else []
    return sources, Layout(len(texts), _common(keep, schemas))


def _kept(file: File, used: Sequence[str], keep: Sequence[str], fixed: Format) -> pa.Schema:
    schema = table_schema(file.path, [*used, *keep], file.name, fixed)
    refuse_missing(keep, schema.names, file.name)
    return schema


def _common(keep: Sequence[str], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return columns with the types that they have in all schemas; if these differ, it is text."""
    types = {name: {schema.field(name).type for schema in schemas} for name in keep}
    return pa.schema(
        [(name, found.pop() if len(found) == 1 else pa.string()) for name, found in types.items()]
    )
