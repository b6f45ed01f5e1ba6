"""Bring the pretrained encoder and its tokenizer, pinned and verified."""

from pathlib import Path

from ordinal.catalog import load_catalog
from ordinal.encoders import find_encoder
from ordinal.errors import report_user_errors
from ordinal.files import whole_folder
from stages.params import load_params


def main() -> None:
    params = load_params().model
    catalog = load_catalog(Path("data/catalog.yaml"))
    if params.name not in catalog.encoders and Path(params.name).is_dir():
        print(f"pretrained: if {params.name} changes, run `dvc repro -f pretrained`")
    with whole_folder(Path("data/pretrained")) as out:
        find_encoder(params.name, params.revision, catalog, out)
    print(f"pretrained: {params.name}")


if __name__ == "__main__":
    with report_user_errors():
        main()
