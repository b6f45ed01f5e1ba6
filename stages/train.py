"""Fine-tune the encoder, and save it as a folder that transformers loads as it stands."""

from pathlib import Path

import pandas as pd

from ordinal.batching import Tokens
from ordinal.calibration import calibrate
from ordinal.classifier import new_classifier, save_classifier, torch_network
from ordinal.errors import report_user_errors
from ordinal.files import read_json, whole_file, whole_folder
from ordinal.inference import predict_probabilities
from ordinal.readme import readme
from ordinal.training import fit
from stages.params import load_params

ENCODER = Path("data/pretrained")
TOKENS = Path("data/tokenized")


def main() -> None:
    recipe = load_params().train
    facts = read_json(Path("data/raw/facts.json"))
    train = Tokens.load(TOKENS / "train.parquet")
    validation = Tokens.load(TOKENS / "validation.parquet")
    model = new_classifier(ENCODER, facts["labels"], recipe)
    history = fit(model, train, validation, recipe)
    network = torch_network(model, recipe.accelerator, recipe.precision)
    distributions = predict_probabilities(network, validation, "calibrate")
    calibration = calibrate(validation.labels, distributions)
    with whole_folder(Path("models/ordinal")) as out:
        text = readme(facts, model.config.model_type, len(train), recipe)
        save_classifier(model, calibration, TOKENS, text, out)
    for name, rows in (("epochs", history.epochs), ("steps", history.steps)):
        with whole_file(Path(f"metrics/plots/{name}.csv")) as path:
            pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    with report_user_errors():
        main()
