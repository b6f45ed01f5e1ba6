"""Fetch the pretrained encoder and its tokenizer, pinned and verified."""

from pathlib import Path

from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_folder
from ordinal.common.params import Model
from ordinal.common.paths import CATALOG, PRETRAINED
from ordinal.sources.catalog import load_catalog
from ordinal.sources.encoders import fetch_encoder


def main() -> None:
    params = Model.load()
    catalog = load_catalog(CATALOG)
    if params.name not in catalog.encoders and Path(params.name).is_dir():
        print(f"pretrained: if {params.name} changes, run `dvc repro -f pretrained`")
    with atomic_folder(PRETRAINED) as out:
        fetch_encoder(params.name, params.revision, catalog, out)
    print(f"pretrained: {params.name}")


if __name__ == "__main__":
    with report_user_errors():
        main()
