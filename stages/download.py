"""Get the reviews from a source of the catalog, a file or the hub, and validate them."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ordinal.common.columns import PART, as_list, refuse_own_columns
from ordinal.common.costs import Costs, size_problem
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_folder, sha256, write_json
from ordinal.common.formats import Format
from ordinal.common.labels import list_labels
from ordinal.common.params import Data, Split
from ordinal.common.parts import File
from ordinal.common.paths import CATALOG, FACTS, OWN_DATA, RAW, REVIEWS
from ordinal.data.demo import demo_reviews
from ordinal.data.detection import detect
from ordinal.data.files import columns_to_keep, files_of_parts, open_files
from ordinal.data.headers import refuse_missing
from ordinal.data.inference import labels_of
from ordinal.data.label_reader import LabelReader
from ordinal.data.reviews import Layout, Source, write_sources
from ordinal.data.tables import read_table
from ordinal.own_data.class_names import labels_in_order, name_classes
from ordinal.sources.catalog import BUILTIN, DataSet, load_catalog, unknown_name
from ordinal.sources.data_files import fetch_data, fetch_url, is_url, shown
from ordinal.sources.hub_data import PREFIX, fetch_hub_data

ONLY_FOR = {"revision": "URLs and data sets of the hub", "config": "data sets of the hub"}
"""Parameters of the data that do not apply to a file or an entry of the catalog."""


@dataclass(frozen=True)
class Found:
    """A data set and its files on this machine; no files if it is built in."""

    entry: DataSet
    files: Sequence[File] = ()
    class_names: Sequence[str] = ()
    """The classes whose numbers are in the label column of a data set of the hub."""
    hub_facts: dict[str, Any] = field(default_factory=dict)

    @property
    def has_parts(self) -> bool:
        """True if the files are parts."""
        return any(file.part for file in self.files)


def main() -> None:
    params = Data.load()
    name = shown(params.name)
    repairs: Counter[str] = Counter()
    with atomic_folder(RAW) as out, tempfile.TemporaryDirectory(dir=out) as temporary:
        found = find(params, Path(temporary))
        entry = found.entry
        facts: dict[str, Any] = {"name": name_of(name), "synthetic": entry.synthetic}
        facts |= found.hub_facts | (facts_of(found) if found.files else {})
        sources, layout = open_sources(found, name, kept_columns(params, found), repairs)
        reader = LabelReader(entry.labels, entry.map, entry.bins)
        counts = write_sources(
            sources, reader, out / REVIEWS.name, name, params.missing, layout, repairs
        )
        facts |= {"licence": entry.licence, "origin": entry.origin}
        facts["labels"] = [str(label) for label in entry.labels]
        if isinstance(entry.text, list):
            facts["text"] = entry.text
        if costs := costs_for(params, entry):
            facts["costs"] = costs
        if found.files:
            facts["repairs"] = dict(repairs)
        write_json(out / FACTS.name, facts | counts)
    for repair, number in repairs.items():
        print(f"download: {repair}: {number}")
    print(f"download: {counts['rows']} reviews of {name}, dropped: {counts['dropped']}")
    print(f"download: rows per label: {counts['rows_per_label']}")


def costs_for(params: Data, entry: DataSet) -> Costs | None:
    """Return the costs of errors, which the parameters can set for any data set."""
    if params.costs is None:
        return entry.costs
    if problem := size_problem(params.costs, entry.labels):
        raise UserError(f"data.costs has {problem} ({list_labels(entry.labels)})")
    return params.costs


def name_of(name: str) -> str:
    """Return the name of the data set in the results: of a file, without the folder."""
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else Path(name).name


def find(params: Data, folder: Path) -> Found:
    """Return the data set, after downloading its files into a folder if they are elsewhere."""
    if params.name.startswith(PREFIX):
        return find_on_hub(params, folder)
    catalog = load_catalog(CATALOG)
    if params.name in catalog.data:
        refuse_unused(params, f"{params.name}, an entry of {CATALOG}")
        return find_entry(params, catalog.data[params.name], folder)
    if is_url(params.name):
        what = f"the URL {shown(params.name)}"
        refuse_unused(params, what, ["config"])
        columns = columns_of(params, what)
        path = fetch_url(params.name, params.revision, folder)
        files, origin = [File(path, shown(params.name))], shown(params.name)
    else:
        files, origin = local_files(params, [*catalog.data]), "a file of the user's own"
        what = f"the {'folder' if Path(params.name).is_dir() else 'file'} {params.name}"
        refuse_unused(params, what)
        columns = columns_of(params, what)
    return Found(new_entry(params.name, *columns, labels_in(files, columns[1]), origin), files)


def refuse_unused(params: Data, what: str, unused: Sequence[str] = tuple(ONLY_FOR)) -> None:
    """Refuse parameters that would be ignored, since this data set has no such thing."""
    for name in unused:
        if getattr(params, name) is not None:
            raise UserError(
                f"data.{name} is only for {ONLY_FOR[name]}, but data.name is {what}: set "
                f"data.{name} to null"
            )


def find_entry(params: Data, entry: DataSet, folder: Path) -> Found:
    """Return an entry of the catalog, whose columns are its own."""
    if params.text not in (None, entry.text) or params.label not in (None, entry.label):
        print(f"download: data.text and data.label are ignored: {CATALOG} has {params.name}")
    if entry.sources == [BUILTIN]:
        return Found(entry)
    return Found(entry, [File(fetch_data(params.name, entry, folder), params.name)])


def local_files(params: Data, entries: list[str]) -> list[File]:
    """Return a file, or the files of the parts in a folder."""
    path = Path(params.name)
    if not (path.is_file() or path.is_dir()):
        raise unknown_name("data.name", params.name, entries)
    parts = files_of_parts(path).items() if path.is_dir() else [(None, path)]
    if not path.resolve().is_relative_to(OWN_DATA.resolve()):
        print(f"download: {path} is outside {OWN_DATA}: if it changes, run `dvc repro -f download`")
    return [File(file, str(file), part) for part, file in parts]


def find_on_hub(params: Data, folder: Path) -> Found:
    text, label = columns_of(params, params.name)
    hub = fetch_hub_data(params.name, params.revision, params.config, folder)
    names = hub.class_names.get(label, ())
    if names:
        labels = labels_in_order(names, label, params.name)
    else:
        labels = labels_in(hub.files, label, hub.format)
    if left_out := hub.facts["splits_left_out"]:
        print(f"download: splits left out: {', '.join(left_out)}")
    origin = f"data set {hub.name} of the hub at commit {params.revision}"
    entry = new_entry(params.name, text, label, labels, origin, hub.licence, hub.format)
    return Found(entry, hub.files, names, hub.facts)


def columns_of(params: Data, what: str) -> tuple[str | list[str], str]:
    """Return the text columns and the label column of a data set that has no entry."""
    if params.text is None or params.label is None:
        raise UserError(f"data.name is {what}: name its columns with data.text and data.label")
    return params.text, params.label


def labels_in(files: Sequence[File], column: str, known: Format | None = None) -> list[int | str]:
    """Return the labels in a column of all files, lowest first."""
    tables = {file: read_table(file.path, [column], file.name, known) for file in files}
    return labels_of([Source(file.name, chunks) for file, chunks in tables.items()], column)


def new_entry(
    name: str,
    text: str | list[str],
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


def kept_columns(params: Data, found: Found) -> list[str]:
    """Return the columns to keep: `data.keep`, and `split.column` if it is not the source's own."""
    column, entry = Split.load().column, found.entry
    if found.has_parts and column == PART:
        column = None
    keep = columns_to_keep(params.keep, [*as_list(entry.text), entry.label], column)
    refuse_own_columns(keep, [str(label) for label in entry.labels], found.has_parts)
    return keep


def facts_of(found: Found) -> dict[str, Any]:
    """Return the checksum and the format of a file, or of the file of each part by its name.

    The commit of a data set of the hub is its checksum, and its files have one format.
    """
    if found.hub_facts:
        return {"format": format_of(found.files[0], found.entry)}
    facts = {
        file.path.name: {"sha256": sha256(file.path), "format": format_of(file, found.entry)}
        for file in found.files
    }
    return {"files": facts} if found.has_parts else facts[found.files[0].path.name]


def format_of(file: File, entry: DataSet) -> dict[str, Any]:
    detected = detect(file.path, file.name, entry.format, [*as_list(entry.text), entry.label])
    print(f"download: format of {file.name}: {detected.describe()}")
    return detected.fields()


def open_sources(
    found: Found, name: str, keep: Sequence[str], repairs: Counter[str]
) -> tuple[list[Source], Layout]:
    """Return the rows of a data set, and its columns."""
    entry = found.entry
    texts = as_list(entry.text)
    if not found.files:
        refuse_missing(keep, [*texts, entry.label], name)
        return [Source(name, demo_table(entry))], Layout()
    sources, layout = open_files(found.files, texts, entry.label, keep, entry.format, repairs)
    if found.class_names:
        sources = [
            replace(source, chunks=name_classes(source.chunks, entry.label, found.class_names))
            for source in sources
        ]
    return sources, layout


def demo_table(entry: DataSet) -> Iterator[pd.DataFrame]:
    rows = [(review.text, review.stars) for review in demo_reviews()]
    yield pd.DataFrame(rows, columns=[entry.text, entry.label])


if __name__ == "__main__":
    with report_user_errors():
        main()
