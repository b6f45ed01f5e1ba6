"""Training time of the default recipe compared with the tutorial's, of `studies/full.yaml`.

Both train MiniLM, which `dvc repro pretrained` downloads, on the same random words with the lengths
of real reviews, in turns. The ratio per epoch is that of whole runs, since both have 3 epochs.
"""

import statistics

from transformers.utils import logging

from benchmarks.corpora import random_tokens
from benchmarks.growth import ROOT
from benchmarks.training import ALL_ROWS, CORPORA, CPU, PRETRAINED, epoch_seconds, sample
from ordinal.common.files import read_json, read_yaml
from ordinal.common.params import Train

ROWS = {"hotel": 240, "short": 600}
REPEATS = 3


def recipes() -> dict[str, Train]:
    """Return the tutorial's recipe and the default, which is the variant `corn`, for one epoch."""
    variants = read_yaml(ROOT / "studies/full.yaml")["variants"]
    default = Train.load(ROOT / "params.yaml").model_dump()
    changes = {
        name: {key.removeprefix("train."): value for key, value in variants[name].items()}
        for name in ("tutorial", "corn")
    }
    return {
        name: Train.model_validate(default | changed | {"epochs": 1, "precision": "32-true"})
        for name, changed in changes.items()
    }


def main() -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    vocabulary = read_json(PRETRAINED / "config.json")["vocab_size"]
    for corpus, rows in ROWS.items():
        tokens = random_tokens(sample(CORPORA[corpus](ALL_ROWS), rows), vocabulary)
        turns = [
            [epoch_seconds(CPU, PRETRAINED, tokens, recipe)[0] for recipe in recipes().values()]
            for _ in range(REPEATS)
        ]
        tutorial, default = (statistics.median(side) for side in zip(*turns, strict=True))
        print(f"{corpus} texts: the default recipe takes {default / tutorial:.2f} times as long")
        print(f"  {len(tokens)} rows: {default:.1f} s, the tutorial's {tutorial:.1f} s", flush=True)


if __name__ == "__main__":
    main()
