"""Corrected copies of a data set: a table with corrections by hand, applied to data/raw."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ordinal.common.columns import CORRECTION
from ordinal.common.errors import UserError, quoted
from ordinal.common.files import ROWS_PER_CHUNK, atomic_file, read_json, sha256
from ordinal.common.labels import as_label, label_key, list_labels
from ordinal.common.params import Data, Split
from ordinal.common.parquet import open_parquet
from ordinal.common.paths import CATALOG, FACTS, OWN_DATA, REVIEWS
from ordinal.data.label_reader import LabelReader
from ordinal.data.rows import is_blank, row_of
from ordinal.data.tables import read_table
from ordinal.own_data.catalog_entry import add_entry, name_for, refuse_name
from ordinal.own_data.parameters import command
from ordinal.sources.catalog import DataSet, load_catalog
from ordinal.sources.data_files import shown

USED = ("row", "text", CORRECTION)


@dataclass(frozen=True)
class Correction:
    """A filled row of a table of corrections."""

    place: str
    """The row of the table, for error messages."""
    text: object
    label: int
    """The class that the label is to be."""


@dataclass(frozen=True)
class Corrected:
    """A corrected copy of a data set in the catalog."""

    name: str
    path: Path
    count: int
    """Number of labels that were changed."""
    command: str
    """The command that trains on it."""


def apply_corrections(table: Path, name: str | None = None) -> Corrected:
    """Write data/raw with corrected labels to data/own, and add it to the catalog.

    Args:
        table: a table of any format with the columns `USED`, such as data/audit/labels.csv.
        name: the name of the new entry.

    Raises:
        UserError: the table has no or bad corrections, is not of this data, or the name is taken.
    """
    facts = _facts()
    name = name or _default_name(facts)
    refuse_name(name, CATALOG)
    path = OWN_DATA / f"{name}.parquet"
    if path.exists():
        raise UserError(f"{path} already exists: choose another name with --name, or remove it")
    corrections = read_corrections(table, facts["labels"])
    reviews = open_parquet(REVIEWS)
    if outside := [row for row in corrections if row >= reviews.metadata.num_rows]:
        raise UserError(
            f"{corrections[outside[0]].place}: the data has no row {outside[0]}: its rows are 0 to "
            f"{reviews.metadata.num_rows - 1}"
        )
    with atomic_file(path) as draft:
        count = _write_copy(reviews, corrections, facts["labels"], draft)
        if count == 0:
            raise UserError(f"{table}: every correction is the label that the row already has")
    try:
        add_entry(CATALOG, name, _entry(facts, path, count))
    except UserError:
        path.unlink()
        raise
    return Corrected(name, path, count, _command(name, reviews.schema_arrow.names))


def read_corrections(path: Path, labels: list[str]) -> dict[int, Correction]:
    """Return the filled rows of a table of corrections, by the number of the row in data/raw.

    Args:
        path: the table.
        labels: the K labels, lowest first.

    Raises:
        UserError: the table can't be read, lacks a column, has a row twice, no correction, or one
            that is not a label.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file: name the table with the corrections")
    reader = LabelReader(labels)
    found: dict[int, Correction] = {}
    places: dict[int, str] = {}
    for place, row, text, cell in _cells(path):
        if row in places:
            raise UserError(f"{place}: row {row} is there a second time, after {places[row]}")
        places[row] = place
        if is_blank(cell):
            continue
        reading = reader.read(cell)
        if reading is None:
            raise UserError(
                f"{place}: column '{CORRECTION}' is {quoted(cell)}: it must be one of the labels "
                f"{list_labels(labels)}, or empty"
            )
        found[row] = Correction(place, text, reading.label)
    if not found:
        raise UserError(f"{path}: no row has a correction: fill the column '{CORRECTION}'")
    return found


def _cells(path: Path) -> Iterator[tuple[str, int, object, object]]:
    """Yield the place of each row of a table, its number in data/raw, its text and correction."""
    before = 0
    for chunk in read_table(path, USED, str(path)):
        for number, (row, *cells) in enumerate(chunk.itertuples(index=False, name=None), 1):
            place = row_of(str(path), before + number)
            key = label_key(row)
            if not (key.isascii() and key.isdigit()):
                raise UserError(
                    f"{place}: column 'row' is {quoted(row)}: it must be a whole number"
                )
            yield place, int(key), *cells
        before += len(chunk)


def _facts() -> dict[str, Any]:
    """Return the facts of data/raw, which has to be the data set of params.yaml."""
    data = shown(Data.load().name)
    if not FACTS.is_file():
        raise UserError(f"{FACTS} is missing: run `dvc repro download` first")
    facts: dict[str, Any] = read_json(FACTS)
    if not data.endswith(facts["name"]):
        raise UserError(
            f"{FACTS} is of {facts['name']}, but data.name is {data}: run `dvc repro download`"
        )
    return facts


def _default_name(facts: Mapping[str, Any]) -> str:
    return f"{name_for(Path(facts['name']))}-corrected"


def _write_copy(
    reviews: pq.ParquetFile, corrections: Mapping[int, Correction], names: list[str], path: Path
) -> int:
    """Write the reviews with labels by name; return how many labels were changed."""
    labels = reviews.schema_arrow.get_field_index("label")
    schema = reviews.schema_arrow.set(labels, pa.field("label", pa.string()))
    changed = start = 0
    left = set(range(len(names)))
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in reviews.iter_batches(ROWS_PER_CHUNK):
            classes = chunk["label"].to_pylist()
            for row in range(start, start + len(chunk)):
                if correction := corrections.get(row):
                    _refuse_stale(correction, chunk["text"][row - start].as_py(), row)
                    changed += classes[row - start] != correction.label
                    classes[row - start] = correction.label
            left.difference_update(classes)
            columns = chunk.columns
            columns[labels] = pa.array([names[index] for index in classes], pa.string())
            writer.write_batch(pa.record_batch(columns, schema=schema))
            start += len(chunk)
    if left:
        lost = list_labels([names[index] for index in sorted(left)])
        raise UserError(
            f"after the corrections no row has the label {lost}: the pipeline needs each label"
        )
    return changed


def _refuse_stale(correction: Correction, text: str, row: int) -> None:
    if _comparable(str(correction.text)) != _comparable(text):
        raise UserError(
            f"{correction.place}: column 'text' is not the text of row {row} of {REVIEWS}: the "
            "data has changed since, so run `ordinal audit` again"
        )


def _comparable(text: str) -> str:
    """Return a text without what a spreadsheet changes: white space, and escaped formulas."""
    return " ".join(text.removeprefix("'").split())


def _entry(facts: Mapping[str, Any], path: Path, count: int) -> DataSet:
    """Return the entry of the copy, with all other facts of the data set that was corrected."""
    source = load_catalog(CATALOG).data.get(Data.load().name)
    known = {key: facts[key] for key in ("licence", "origin", "synthetic")}
    known["labels"] = [as_label(name) for name in facts["labels"]]
    if source:
        changed = {"map", "bins", "format", "allow_unpinned"}
        known = source.model_dump(exclude=changed, exclude_unset=True)
    labels = f"{count} label{'s' if count > 1 else ''}"
    return DataSet.model_validate(
        known
        | {
            "sources": [str(path)],
            "checksum": f"sha256:{sha256(path)}",
            "text": "text",
            "label": "label",
            "origin": f"{known['origin']}; {labels} of {facts['name']} corrected by hand",
        }
    )


def _command(name: str, columns: list[str]) -> str:
    """Return the command that trains on the copy, with the same split and columns."""
    split = Split.load()
    column = split.column or ("part" if split.method == "given" and "part" in columns else None)
    chosen = {"data.name": name, "data.keep": Data.load().keep}
    return command(chosen | {"split.method": split.method, "split.column": column})
