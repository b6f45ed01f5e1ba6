"""Fine-tune the encoder, calibrate it, and write the model folder."""

import os
import shutil
from pathlib import Path

from ordinal.common.costs import costs_of
from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_folder, read_json, write_json
from ordinal.common.params import Train
from ordinal.common.paths import FACTS, MODEL, PLOTS, PRETRAINED, TOKENIZED
from ordinal.distributions.calibration import calibrate
from ordinal.model.classifier import new_classifier, save_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.model.readme import readme
from ordinal.tokenization.tokenizer import load_truncation
from ordinal.tokenization.tokens import Tokens
from ordinal.training.checkpoints import computed_by, run_key
from ordinal.training.distributed import is_rank_zero, silence_other_ranks
from ordinal.training.fine_tuning import fit
from ordinal.training.loggers import new_logger
from ordinal.training.memory import saving_memory

# DVC_ROOT is the project's folder, even if DVC runs the stage in a temporary copy of it, so that
# the next run finds the checkpoints.
ROOT = Path(os.environ.get("DVC_ROOT", ""))
CHECKPOINTS = ROOT / "checkpoints"
LOGS = ROOT / "logs"  # no outputs of the stage: they differ between machines and moments


def main() -> None:
    silence_other_ranks()
    recipe = Train.load()
    facts = read_json(FACTS)
    costs = costs_of(facts, recipe.decode)
    token_files = [TOKENIZED / f"{part}.arrow" for part in ("train", "validation")]
    train, validation = map(Tokens.load, token_files)
    inputs = [FACTS, *token_files, *sorted(PRETRAINED.iterdir())]
    settings = recipe.model_dump_json(exclude={"checkpoint_every", "logger"})
    key = run_key(settings, inputs)
    checkpoints = CHECKPOINTS / key
    logger = new_logger(recipe, LOGS, os.environ.get("DVC_EXP_NAME") or key[:8])

    model = new_classifier(
        PRETRAINED,
        facts["labels"],
        recipe.loss,
        recipe.decode,
        recipe.seed,
        recipe.attention_dropout,
        facts.get("text", ()),
        costs,
    )
    with saving_memory(model, recipe):
        fit(model, train, validation, recipe, checkpoints, tables=PLOTS, logger=logger)
    if not is_rank_zero():  # of several processes, one writes
        return

    network = torch_network(model, recipe.accelerator, recipe.precision)
    distributions = predict_probabilities(network, validation, "calibrate")
    calibration = calibrate(validation.labels, distributions)

    write_json(LOGS / "train.json", computed_by())
    with atomic_folder(MODEL) as folder:
        text = readme(
            facts, model.config.model_type, len(train), recipe, load_truncation(TOKENIZED)
        )
        save_classifier(model, calibration, TOKENIZED, text, folder)
    shutil.rmtree(checkpoints, ignore_errors=True)


if __name__ == "__main__":
    with report_user_errors():
        main()
