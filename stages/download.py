"""Bring the reviews: from the catalog's sources or a file, checked, in one clean form."""

import tempfile
from pathlib import Path

import pandas as pd

from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_folder, sha256, write_json
from ordinal.common.params import Data
from ordinal.data.demo import demo_reviews
from ordinal.data.reviews import infer_labels, write_reviews
from ordinal.data.tables import read_table
from ordinal.sources.catalog import BUILTIN, DataSet, load_catalog, unknown_name
from ordinal.sources.download import find_data

OWN = Path("data/own")


def main() -> None:
    params = Data.load()
    entry = find_entry(params)
    with (
        atomic_folder(Path("data/raw")) as out,
        tempfile.TemporaryDirectory(dir=out) as temporary,
    ):
        facts = {"name": Path(params.name).name, "synthetic": entry.synthetic}
        if entry.sources == [BUILTIN]:
            rows = [(review.text, review.stars) for review in demo_reviews()]
            pieces = iter([pd.DataFrame(rows, columns=[entry.text, entry.label])])
        else:
            path = find_data(entry, Path(temporary))
            facts["sha256"] = sha256(path)
            pieces = read_table(path, [entry.text, entry.label], params.name)
        counts = write_reviews(pieces, entry.labels, out / "reviews.parquet", params.name)
        facts |= {"licence": entry.licence, "origin": entry.origin}
        facts["labels"] = [str(label) for label in entry.labels]
        write_json(out / "facts.json", facts | counts)
    print(f"download: {counts['rows']} reviews of {params.name}, dropped: {counts['dropped']}")
    print(f"download: rows of each label: {counts['rows_per_label']}")


def find_entry(params: Data) -> DataSet:
    """The entry of the catalog, or one made up for a file of the user's own."""
    catalog = load_catalog(Path("data/catalog.yaml"))
    path = Path(params.name)
    if params.name in catalog.data:
        return catalog.data[params.name]
    if not path.is_file():
        raise unknown_name("data.name", params.name, list(catalog.data))
    if params.text is None or params.label is None:
        raise UserError(
            f"data.name is the file {path}: name its columns with data.text and data.label"
        )
    if not path.resolve().is_relative_to(OWN.resolve()):
        print(f"download: {path} is outside {OWN}: if it changes, run `dvc repro -f download`")
    return DataSet(
        sources=[params.name],
        allow_unpinned=True,
        text=params.text,
        label=params.label,
        labels=infer_labels(path, params.label),
        licence="not stated",
        origin="a file of the user's own",
    )


if __name__ == "__main__":
    with report_user_errors():
        main()
