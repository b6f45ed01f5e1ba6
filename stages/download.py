"""Get the reviews from a source of the catalog or a local file, and validate them."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ordinal.common.columns import PART, as_list, refuse_own_columns
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_folder, sha256, write_json
from ordinal.common.params import Data, Split
from ordinal.common.paths import CATALOG, FACTS, OWN_DATA, RAW, REVIEWS
from ordinal.data.demo import demo_reviews
from ordinal.data.detection import detect
from ordinal.data.files import File, columns_to_keep, files_of_parts, open_files
from ordinal.data.headers import refuse_missing
from ordinal.data.inference import infer_labels
from ordinal.data.label_reader import LabelReader
from ordinal.data.reviews import Layout, Source, write_sources
from ordinal.sources.catalog import BUILTIN, DataSet, load_catalog, unknown_name
from ordinal.sources.download import fetch_data


def main() -> None:
    params = Data.load()
    entry = find_entry(params)
    texts = as_list(entry.text)
    facts: dict[str, Any] = {"name": Path(params.name).name, "synthetic": entry.synthetic}
    repairs: Counter[str] = Counter()
    with atomic_folder(RAW) as out, tempfile.TemporaryDirectory(dir=out) as temporary:
        files = files_of(params.name, entry, Path(temporary))
        has_parts = any(file.part for file in files)
        keep = kept_columns(params, entry, has_parts)
        if files:
            facts |= facts_of(files, entry, has_parts)
            sources, layout = open_files(files, texts, entry.label, keep, entry.format, repairs)
        else:
            refuse_missing(keep, [*texts, entry.label], params.name)
            sources, layout = [Source(params.name, demo_table(entry))], Layout()
        reader = LabelReader(entry.labels, entry.map, entry.bins)
        counts = write_sources(
            sources, reader, out / REVIEWS.name, params.name, params.missing, layout, repairs
        )
        facts |= {"licence": entry.licence, "origin": entry.origin}
        facts["labels"] = [str(label) for label in entry.labels]
        if len(texts) > 1:
            facts["text"] = texts
        if files:
            facts["repairs"] = dict(repairs)
        write_json(out / FACTS.name, facts | counts)
    for repair, number in repairs.items():
        print(f"download: {repair}: {number}")
    print(f"download: {counts['rows']} reviews of {params.name}, dropped: {counts['dropped']}")
    print(f"download: rows per label: {counts['rows_per_label']}")


def find_entry(params: Data) -> DataSet:
    """Return the data set's entry in the catalog, or an entry for a local file or folder."""
    catalog = load_catalog(CATALOG)
    if params.name in catalog.data:
        entry = catalog.data[params.name]
        if params.text not in (None, entry.text) or params.label not in (None, entry.label):
            print(f"download: data.text and data.label are ignored: {CATALOG} has {params.name}")
        return entry
    path = Path(params.name)
    if not (path.is_file() or path.is_dir()):
        raise unknown_name("data.name", params.name, list(catalog.data))
    paths = [*files_of_parts(path).values()] if path.is_dir() else [path]
    if params.text is None or params.label is None:
        raise UserError(
            f"data.name is the {'folder' if path.is_dir() else 'file'} {path}: name its columns "
            "with data.text and data.label"
        )
    if not path.resolve().is_relative_to(OWN_DATA.resolve()):
        print(f"download: {path} is outside {OWN_DATA}: if it changes, run `dvc repro -f download`")
    return DataSet(
        sources=[str(path)],
        allow_unpinned=True,
        text=params.text,
        label=params.label,
        labels=infer_labels(paths, params.label),
        licence="not stated",
        origin="a file of the user's own",
    )


def files_of(name: str, entry: DataSet, folder: Path) -> list[File]:
    """Return the files of a data set, which is not built in, after downloading them."""
    if entry.sources == [BUILTIN]:
        return []
    if Path(name).is_dir() and entry.sources == [str(Path(name))]:
        parts = files_of_parts(Path(name)).items()
        return [File(path, str(path), part) for part, path in parts]
    return [File(fetch_data(name, entry, folder), name)]


def kept_columns(params: Data, entry: DataSet, has_parts: bool) -> list[str]:
    """Return the columns to keep: `data.keep`, and `split.column` if it is not the source's own."""
    column = Split.load().column
    if has_parts and column == PART:
        column = None
    keep = columns_to_keep(params.keep, [*as_list(entry.text), entry.label], column)
    refuse_own_columns(keep, [str(label) for label in entry.labels], has_parts)
    return keep


def facts_of(files: Sequence[File], entry: DataSet, has_parts: bool) -> dict[str, Any]:
    """Return the checksum and the format of a file, or of the file of each part by its name."""
    facts = {}
    for file in files:
        found = detect(file.path, file.name, entry.format, [*as_list(entry.text), entry.label])
        print(f"download: format of {file.name}: {found.describe()}")
        facts[file.path.name] = {"sha256": sha256(file.path), "format": found.fields()}
    return {"files": facts} if has_parts else next(iter(facts.values()))


def demo_table(entry: DataSet) -> Iterator[pd.DataFrame]:
    rows = [(review.text, review.stars) for review in demo_reviews()]
    yield pd.DataFrame(rows, columns=[entry.text, entry.label])


if __name__ == "__main__":
    with report_user_errors():
        main()
