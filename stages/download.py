"""Get the reviews from a source of the catalog, a file or the hub, and validate them."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_folder, sha256, write_json
from ordinal.common.formats import Format
from ordinal.common.params import Data
from ordinal.common.paths import CATALOG, FACTS, OWN_DATA, RAW, REVIEWS
from ordinal.data.demo import demo_reviews
from ordinal.data.detection import detect, refuse_folder
from ordinal.data.files import File
from ordinal.data.reviews import Source, labels_of, write_sources
from ordinal.data.tables import read_table
from ordinal.own_data.class_names import labels_in_order, name_classes
from ordinal.sources.catalog import BUILTIN, DataSet, load_catalog, unknown_name
from ordinal.sources.data_files import fetch_data, fetch_url, is_url, shown
from ordinal.sources.hub_data import PREFIX, fetch_hub_data


@dataclass(frozen=True)
class Found:
    """A data set and its files on this machine."""

    entry: DataSet
    files: list[File]
    class_names: list[str] | None = None
    """The classes whose numbers are in the label column of a data set of the hub."""
    facts: dict[str, Any] = field(default_factory=dict)


def main() -> None:
    params = Data.load()
    name = shown(params.name)
    repairs: Counter[str] = Counter()
    with atomic_folder(RAW) as out, tempfile.TemporaryDirectory(dir=out) as temporary:
        found = find(params, Path(temporary))
        entry = found.entry
        facts: dict[str, Any] = {"name": name_of(name), "synthetic": entry.synthetic}
        facts |= found.facts
        if found.files:
            facts |= facts_of(found)
            sources = [source_of(file, found, repairs) for file in found.files]
        else:
            sources = [Source(name, demo_table(entry))]
        counts = write_sources(sources, entry.labels, out / REVIEWS.name, name, params.missing)
        facts |= {"licence": entry.licence, "origin": entry.origin}
        facts["labels"] = [str(label) for label in entry.labels]
        if found.files:
            facts["repairs"] = dict(repairs)
        write_json(out / FACTS.name, facts | counts)
    for repair, number in repairs.items():
        print(f"download: {repair}: {number}")
    print(f"download: {counts['rows']} reviews of {name}, dropped: {counts['dropped']}")
    print(f"download: rows per label: {counts['rows_per_label']}")


def name_of(name: str) -> str:
    """Return the name of the data set in the results: of a file, without the folder."""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else Path(name).name


def find(params: Data, folder: Path) -> Found:
    """Return the data set, after downloading its files into a folder if they are elsewhere."""
    if params.name.startswith(PREFIX):
        return find_on_hub(params, folder)
    catalog = load_catalog(CATALOG)
    if params.name in catalog.data:
        entry = catalog.data[params.name]
        if entry.sources == [BUILTIN]:
            return Found(entry, [])
        return Found(entry, [File(fetch_data(params.name, entry, folder), params.name)])
    if is_url(params.name):
        text, label = columns_of(params, f"the URL {shown(params.name)}")
        path, origin = fetch_url(params.name, params.revision, folder), shown(params.name)
    else:
        path, origin = Path(params.name), "a file of the user's own"
        refuse_folder(path, f"data.name: {path}")
        if not path.is_file():
            raise unknown_name("data.name", params.name, list(catalog.data))
        text, label = columns_of(params, f"the file {path}")
        if not path.resolve().is_relative_to(OWN_DATA.resolve()):
            print(
                f"download: {path} is outside {OWN_DATA}: if it changes, run "
                "`dvc repro -f download`"
            )
    files = [File(path, shown(params.name))]
    labels: list[int | str] = [*labels_in(files, label, Format())]
    return Found(new_entry(params.name, text, label, labels, origin=origin), files)


def find_on_hub(params: Data, folder: Path) -> Found:
    text, label = columns_of(params, params.name)
    hub = fetch_hub_data(params.name, params.revision, params.config, folder)
    files = [File(table.path, f"{params.name}, {table.name}", table.part) for table in hub.tables]
    names = hub.class_names.get(label)
    labels = (
        labels_in_order(names, label, params.name) if names else labels_in(files, label, hub.format)
    )
    if left_out := hub.facts["splits_left_out"]:
        print(f"download: splits left out: {', '.join(left_out)}")
    origin = f"data set {hub.name} of the hub at commit {params.revision}"
    entry = new_entry(params.name, text, label, labels, origin, hub.licence, hub.format)
    return Found(entry, files, names, hub.facts)


def columns_of(params: Data, what: str) -> tuple[str, str]:
    if params.text is None or params.label is None:
        raise UserError(f"data.name is {what}: name its columns with data.text and data.label")
    return params.text, params.label


def labels_in(files: list[File], column: str, known: Format) -> list[int]:
    return labels_of(
        [Source(file.name, read_table(file.path, [column], file.name, known)) for file in files],
        column,
    )


def new_entry(
    name: str,
    text: str,
    label: str,
    labels: Sequence[int | str],
    origin: str,
    licence: str = "not stated",
    known: Format | None = None,
) -> DataSet:
    return DataSet(
        sources=[name],
        allow_unpinned=True,
        text=text,
        label=label,
        labels=list(labels),
        format=known or Format(),
        licence=licence,
        origin=origin,
    )


def source_of(file: File, found: Found, repairs: Counter[str]) -> Source:
    entry = found.entry
    columns = [entry.text, entry.label]
    chunks = read_table(file.path, columns, file.name, entry.format, repairs)
    if found.class_names:
        chunks = name_classes(chunks, entry.label, found.class_names)
    return Source(file.name, chunks, file.part)


def facts_of(found: Found) -> dict[str, Any]:
    """Return the format of the files, and the checksum if there is one file."""
    file, entry = found.files[0], found.entry
    detected = detect(file.path, file.name, entry.format, [entry.text, entry.label])
    print(f"download: format of {file.name}: {detected.describe()}")
    checksum = {} if found.facts else {"sha256": sha256(file.path)}
    return checksum | {"format": detected.fields()}


def demo_table(entry: DataSet) -> Iterator[pd.DataFrame]:
    rows = [(review.text, review.stars) for review in demo_reviews()]
    yield pd.DataFrame(rows, columns=[entry.text, entry.label])


if __name__ == "__main__":
    with report_user_errors():
        main()
