"""Fine-tune the encoder, and save it as a folder that transformers loads as it stands."""

import os
import shutil
from pathlib import Path

import pandas as pd

from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file, atomic_folder, read_json, write_json
from ordinal.common.params import Train
from ordinal.distributions.calibration import calibrate
from ordinal.model.classifier import new_classifier, save_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.model.readme import readme
from ordinal.tokenization.tokens import Tokens
from ordinal.training.checkpoints import computed_by, run_key
from ordinal.training.distributed import is_rank_zero, silence_other_ranks
from ordinal.training.fine_tuning import fit

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
    silence_other_ranks()
    recipe = Train.load()
    facts = read_json(FACTS)
    train, validation = (Tokens.load(path) for path in PARTS.values())
    settings = recipe.model_dump_json(exclude={"checkpoint_every"})
    inputs = [FACTS, *PARTS.values(), *sorted(ENCODER.iterdir())]
    checkpoints = CHECKPOINTS / run_key(settings, inputs)
    model = new_classifier(ENCODER, facts["labels"], recipe)
    history = fit(model, train, validation, recipe, checkpoints)
    if not is_rank_zero():  # of several processes, one writes
        return
    write_json(LOG, computed_by())
    network = torch_network(model, recipe.accelerator, recipe.precision)
    distributions = predict_probabilities(network, validation, "calibrate")
    calibration = calibrate(validation.labels, distributions)
    with atomic_folder(Path("models/ordinal")) as out:
        text = readme(facts, model.config.model_type, len(train), recipe)
        save_classifier(model, calibration, TOKENS, text, out)
    for name, rows in (("epochs", history.epochs), ("steps", history.steps)):
        with atomic_file(Path(f"metrics/plots/{name}.csv")) as path:
            pd.DataFrame(rows).to_csv(path, index=False)
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    with report_user_errors():
        main()
