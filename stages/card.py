"""Write the model card from the files of the run: nothing in it is written by hand."""

from pathlib import Path

from ordinal.cards.model_card import Encoder, Records, model_card
from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file, read_json, sha256
from ordinal.common.params import Evaluate, Model, Split, Tokenize, Train
from ordinal.sources.catalog import HubSource, load_catalog

MODEL = Path("models/ordinal")


def main() -> None:
    run = Records(
        facts=read_json(Path("data/raw/facts.json")),
        config=read_json(MODEL / "config.json"),
        metrics=read_json(Path("metrics/metrics.json")),
        split=read_json(Path("metrics/split.json")),
        tokens=read_json(Path("metrics/tokenize.json")),
        settings={
            "split": Split.load().model_dump(),
            "tokenize": Tokenize.load().model_dump(),
            "train": Train.load().model_dump(),
            "evaluate": Evaluate.load().model_dump(),
        },
        encoder=find_encoder(Model.load()),
        weights=sha256(MODEL / "model.safetensors"),
    )
    with atomic_file(Path("metrics/model_card.md")) as path:
        path.write_text(model_card(run), encoding="utf-8")


def find_encoder(params: Model) -> Encoder:
    """What the catalog says of it; of a folder no more is known than its name."""
    entry = load_catalog(Path("data/catalog.yaml")).encoders.get(params.name)
    if entry is not None:
        hubs = [source.hub for source in entry.sources if isinstance(source, HubSource)]
        return Encoder(entry.origin, entry.licence, hubs[0] if hubs else None)
    if Path(params.name).is_dir():
        return Encoder(Path(params.name).name, "not stated")
    return Encoder(f"{params.name} at {params.revision}", "see the hub", params.name)


if __name__ == "__main__":
    with report_user_errors():
        main()
