"""Write the model card from the files of the run."""

from pathlib import Path

from ordinal.cards.model_card import Encoder, model_card
from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file, read_json, sha256
from ordinal.common.params import Evaluate, Model, Split, Tokenize, Train
from ordinal.common.paths import CATALOG, DETAILS, FACTS, MODEL, MODEL_CARD
from ordinal.sources.catalog import HubSource, load_catalog


def main() -> None:
    card = model_card(
        facts=read_json(FACTS),
        details=read_json(DETAILS),
        parameters={
            "split": Split.load().model_dump(),
            "tokenize": Tokenize.load().model_dump(),
            "train": Train.load().model_dump(exclude={"logger"}),
            "evaluate": Evaluate.load().model_dump(),
        },
        encoder=describe_encoder(Model.load()),
        weights=sha256(MODEL / "model.safetensors"),
    )
    with atomic_file(MODEL_CARD) as path:
        path.write_text(card, encoding="utf-8")


def describe_encoder(params: Model) -> Encoder:
    """Return the name, licence and repository of the encoder, as far as they are known."""
    entry = load_catalog(CATALOG).encoders.get(params.name)
    if entry is not None:
        hubs = [source.hub for source in entry.sources if isinstance(source, HubSource)]
        return Encoder(entry.origin, entry.licence, hubs[0] if hubs else None)
    if Path(params.name).is_dir():
        return Encoder(Path(params.name).name, "not stated")
    return Encoder(f"{params.name} at {params.revision}", "see the hub", params.name)


if __name__ == "__main__":
    with report_user_errors():
        main()
