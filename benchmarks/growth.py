"""Growth of each stage's time and memory with the number of rows.

Runs the stages as DVC does, each in a process of its own, on growing numbers of synthetic reviews,
with the tokenizer of the default encoder and a tiny network, so that the measured growth is that of
this project's code. An exponent of 1 means growth in proportion to the rows, 0 no growth. It is
fitted to the `FITTED` largest numbers of rows.
The row `hub` is the download stage with a data set of the hub, from a server on this machine. The
row `predict` is `ordinal predict` of the reviews into a folder.
`make bench`, or with other numbers of rows: `python -m benchmarks.growth 10000 100000 1000000`, or
for some stages, and those before them: `python -m benchmarks.growth download split 10000 100000`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml

from benchmarks import hub
from benchmarks.child import in_child
from benchmarks.reviews import write_csv
from ordinal.common.files import read_json

ROOT = Path(__file__).parent.parent
ENCODER = Path("data/pretrained")
LEARNING = ("train", "evaluate", "card")  # only up to `MOST_LEARNED` rows: more take hours
HUB = "hub"
PREDICT = "predict"
STAGES = ("download", HUB, "pretrained", "split", "tokenize", "baseline", *LEARNING, PREDICT)
MOST_LEARNED = 100_000
SIZES = (1_000, 3_000, 10_000)
FITTED = 3
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 16,
}

Figures = Mapping[str, Mapping[int, tuple[float, float]]]
"""For each stage and number of rows, the seconds and the peak memory in MB."""


def new_project(folder: Path, rows: int, encoder: Path) -> None:
    """Make a folder in which the stages can run, with synthetic reviews and an encoder."""
    own = folder / "data/own"
    own.mkdir(parents=True)
    shutil.copy(ROOT / "data/catalog.yaml", folder / "data")
    write_csv(own / "reviews.csv", rows, encoder / "tokenizer.json")
    shutil.copytree(encoder, own / "encoder")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["data"] = {"name": "data/own/reviews.csv", "text": "review", "label": "stars"}
    params["model"] = {"name": "data/own/encoder"}
    config = read_json(encoder / "config.json")
    params["tokenize"] = {"max_length": config["max_position_embeddings"]}
    params["train"] |= {"epochs": 1, "checkpoint_every": None, "accelerator": "cpu"}
    params["evaluate"] |= {"resamples": 100}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def new_hub_project(folder: Path, rows: int, encoder: Path) -> None:
    """Make a folder in which the download stage can run, with a data set of the hub to serve."""
    (folder / "data").mkdir(parents=True)
    shutil.copy(ROOT / "data/catalog.yaml", folder / "data")
    hub.publish(folder / "served", rows, encoder / "tokenizer.json")
    data = {"name": f"hub:{hub.NAME}", "revision": hub.COMMIT, "text": "text", "label": "label"}
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"data": data, "split": {}}), encoding="utf-8"
    )


def save_tiny_encoder(encoder: Path, folder: Path) -> None:
    """Save an encoder with the tokenizer of another one and a tiny network."""
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = read_json(encoder / "config.json")
    sizes = {name: config[name] for name in ("vocab_size", "max_position_embeddings")}
    BertModel(BertConfig(**sizes, **TINY)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / name, folder)


def save_model(folder: Path, encoder: Path) -> None:
    """Save an untrained classifier in a project."""
    from ordinal.distributions.calibration import Calibration
    from ordinal.distributions.conformal import Scores
    from ordinal.model.classifier import new_classifier, save_classifier
    from ordinal.tokenization.tokenizer import save_tokenizer

    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    save_tokenizer(
        encoder, read_json(encoder / "config.json")["max_position_embeddings"], tokenizer
    )
    model = new_classifier(encoder, ["1", "2", "3", "4", "5"], "corn")
    scores: Scores = {"adaptive": [[0.5] * 4] * 5, "shortest": [[0.5] * 4] * 5}
    save_classifier(model, Calibration(1.0, scores), tokenizer, "", folder / "models/ordinal")


def stage_environment() -> dict[str, str]:
    """The environment of a stage's process: it also finds this project's packages."""
    paths = (str(ROOT), os.environ.get("PYTHONPATH"))
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_stage(folder: Path, stage: str, **changes: str) -> float:
    """Return the seconds from the start of a stage's process to its end."""
    command = [sys.executable, "-m", f"stages.{stage}"]
    if stage == PREDICT:
        script = "from ordinal.cli import app; app()"
        command = [sys.executable, "-c", script, "predict", "data/own/reviews.csv"]
        command += ["--text", "review", "--out", "predictions"]
    start = time.perf_counter()
    environment = stage_environment() | changes
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{stage}: {run.stderr}")
    return time.perf_counter() - start


def exponent(values: Mapping[int, float]) -> float:
    """Return the slope of a line fitted to the logarithms of the `FITTED` largest rows."""
    rows, heights = zip(*sorted(values.items())[-FITTED:], strict=True)
    return float(np.polyfit(np.log(rows), np.log(heights), 1)[0])


def table(figures: Figures) -> str:
    """Return a Markdown table with one row per stage."""
    lines = [
        "| stage | rows | time (s) | exponent | peak memory (MB) | exponent |",
        "|---|---|---|---|---|---|",
    ]
    for stage, of_rows in figures.items():
        seconds, memory = ({rows: pair[kind] for rows, pair in of_rows.items()} for kind in (0, 1))
        rows = max(of_rows)
        lines.append(
            f"| {stage} | {rows:,} | {seconds[rows]:.1f} | {exponent(seconds):.2f} "
            f"| {memory[rows]:.0f} | {exponent(memory):.2f} |"
        )
    return "\n".join(lines)


def measure(sizes: Sequence[int], encoder: Path, stages: Sequence[str]) -> Figures:
    figures: dict[str, dict[int, tuple[float, float]]] = {stage: {} for stage in stages}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            tiny = Path(temporary) / "encoder"
            in_child(save_tiny_encoder, encoder, tiny)
            for stage in stages:
                if rows <= MOST_LEARNED or stage not in LEARNING:
                    seconds, memory = measure_stage(Path(temporary), stage, rows, tiny)
                    figures[stage][rows] = seconds, memory
                    line = f"{rows:>9,} {stage:10} {seconds:7.1f} s {memory:6.0f} MB"
                    print(line, file=sys.stderr, flush=True)
    return figures


def measure_stage(temporary: Path, stage: str, rows: int, encoder: Path) -> tuple[float, float]:
    """Return the seconds and the peak memory of a stage, after those before it have run."""
    new, folder = (
        (new_hub_project, temporary / "hub")
        if stage == HUB
        else (new_project, temporary / "project")
    )
    if not folder.exists():
        in_child(new, folder, rows, encoder)
    if stage == PREDICT:
        in_child(save_model, folder, encoder)
    if stage != HUB:
        return in_child(run_stage, folder, stage)
    with hub.serving(folder / "served") as url:
        return in_child(run_stage, folder, "download", HF_ENDPOINT=url, HF_HUB_OFFLINE="0")


def main(sizes: Sequence[int] = SIZES, encoder: Path = ENCODER, stages: Sequence[str] = ()) -> None:
    figures = measure(sizes, encoder, stages or STAGES)
    print(f"growth with the rows; exponents of the {FITTED} largest numbers of rows\n")
    print(table(figures))


if __name__ == "__main__":
    chosen = sys.argv[1:]
    main(
        [int(rows) for rows in chosen if rows.isdigit()] or SIZES,
        stages=[stage for stage in chosen if not stage.isdigit()],
    )
