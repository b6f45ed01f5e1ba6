"""Fine-tune the encoder, and save it as a folder that transformers loads as it stands."""

import os
import shutil
from pathlib import Path

import pandas as pd

from ordinal.batching import Tokens
from ordinal.calibration import calibrate
from ordinal.checkpoints import computed_by, run_key
from ordinal.classifier import new_classifier, save_classifier, torch_network
from ordinal.distributed import hush_followers, leads
from ordinal.errors import report_user_errors
from ordinal.files import read_json, whole_file, whole_folder, write_json
from ordinal.inference import predict_probabilities
from ordinal.readme import readme
from ordinal.training import fit
from stages.params import load_params

ENCODER = Path("data/pretrained")
TOKENS = Path("data/tokenized")
PARTS = {part: TOKENS / f"{part}.arrow" for part in ("train", "validation")}
FACTS = Path("data/raw/facts.json")
# DVC names the project's root even to a run in a temporary copy of it: of such a run, too, the next
# one finds the checkpoints.
ROOT = Path(os.environ.get("DVC_ROOT", ""))
CHECKPOINTS = ROOT / "checkpoints"
LOG = ROOT / "logs/train.json"  # no output: it differs from machine to machine


def main() -> None:
    hush_followers()
    recipe = load_params().train
    facts = read_json(FACTS)
    train, validation = (Tokens.load(path) for path in PARTS.values())
    settings = recipe.model_dump_json(exclude={"checkpoint_every"})
    inputs = [FACTS, *PARTS.values(), *sorted(ENCODER.iterdir())]
    checkpoints = CHECKPOINTS / run_key(settings, inputs)
    model = new_classifier(ENCODER, facts["labels"], recipe)
    history = fit(model, train, validation, recipe, checkpoints)
    if not leads():  # of several processes, one writes
        return
    write_json(LOG, computed_by())
    network = torch_network(model, recipe.accelerator, recipe.precision)
    distributions = predict_probabilities(network, validation, "calibrate")
    calibration = calibrate(validation.labels, distributions)
    with whole_folder(Path("models/ordinal")) as out:
        text = readme(facts, model.config.model_type, len(train), recipe)
        save_classifier(model, calibration, TOKENS, text, out)
    for name, rows in (("epochs", history.epochs), ("steps", history.steps)):
        with whole_file(Path(f"metrics/plots/{name}.csv")) as path:
            pd.DataFrame(rows).to_csv(path, index=False)
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    with report_user_errors():
        main()
