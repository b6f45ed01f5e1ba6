"""Get the reviews from a source of the catalog or a local file, and validate them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_folder, sha256, write_json
from ordinal.common.params import Data
from ordinal.common.paths import CATALOG, FACTS, OWN_DATA, RAW, REVIEWS
from ordinal.data.demo import demo_reviews
from ordinal.data.reviews import infer_labels, write_reviews
from ordinal.data.tables import read_table
from ordinal.sources.catalog import BUILTIN, DataSet, load_catalog, unknown_name
from ordinal.sources.download import fetch_data


def main() -> None:
    params = Data.load()
    entry = find_entry(params)
    facts: dict[str, object] = {"name": Path(params.name).name, "synthetic": entry.synthetic}
    with atomic_folder(RAW) as out, tempfile.TemporaryDirectory(dir=out) as temporary:
        if entry.sources == [BUILTIN]:
            pieces = demo_table(entry)
        else:
            path = fetch_data(params.name, entry, Path(temporary))
            facts["sha256"] = sha256(path)
            pieces = read_table(path, [entry.text, entry.label], params.name)
        counts = write_reviews(pieces, entry.labels, out / REVIEWS.name, params.name)
        facts |= {"licence": entry.licence, "origin": entry.origin}
        facts["labels"] = [str(label) for label in entry.labels]
        write_json(out / FACTS.name, facts | counts)
    print(f"download: {counts['rows']} reviews of {params.name}, dropped: {counts['dropped']}")
    print(f"download: rows per label: {counts['rows_per_label']}")


def find_entry(params: Data) -> DataSet:
    """Return the data set's entry in the catalog, or an entry for a local file."""
    catalog = load_catalog(CATALOG)
    if params.name in catalog.data:
        return catalog.data[params.name]
    path = Path(params.name)
    if not path.is_file():
        raise unknown_name("data.name", params.name, list(catalog.data))
    if params.text is None or params.label is None:
        raise UserError(
            f"data.name is the file {path}: name its columns with data.text and data.label"
        )
    if not path.resolve().is_relative_to(OWN_DATA.resolve()):
        print(f"download: {path} is outside {OWN_DATA}: if it changes, run `dvc repro -f download`")
    return DataSet(
        sources=[params.name],
        allow_unpinned=True,
        text=params.text,
        label=params.label,
        labels=infer_labels(path, params.label),
        licence="not stated",
        origin="a file of the user's own",
    )


def demo_table(entry: DataSet) -> Iterator[pd.DataFrame]:
    rows = [(review.text, review.stars) for review in demo_reviews()]
    yield pd.DataFrame(rows, columns=[entry.text, entry.label])


if __name__ == "__main__":
    with report_user_errors():
        main()
