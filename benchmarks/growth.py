"""How the time and the memory of each stage grow with the rows: exponents, and a picture.

Runs the stages as DVC does, each in a process of its own, on more and more synthetic reviews, with
the tokenizer of the default encoder and a network that is next to nothing, so that what grows is
ours. Of the exponents, 1 is in proportion to the rows and 0 not at all; they are fitted to the
`FITTED` largest numbers of rows. `make bench`; with more rows, and the picture written anew:
`python -m benchmarks.growth 10000 100000 1000000`.
"""

import io
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

from benchmarks.child import in_child
from benchmarks.reviews import write_csv
from ordinal.common.files import read_json

ROOT = Path(__file__).parent.parent
ENCODER = Path("data/pretrained")
PICTURE = Path("docs/growth.svg")
STAGES = ("download", "pretrained", "split", "tokenize", "baseline", "train", "evaluate", "card")
LEARNING = ("train", "evaluate", "card")  # would take hours: up to `MOST_LEARNED` rows
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
"""Of each stage and number of rows the seconds, and the peak memory in MB."""


def new_project(folder: Path, rows: int, encoder: Path) -> None:
    """A folder in which the stages run, with some reviews and an encoder."""
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


def save_tiny_encoder(encoder: Path, folder: Path) -> None:
    """An encoder with the tokenizer of another, and hardly a network."""
    from transformers import BertConfig, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = read_json(encoder / "config.json")
    sizes = {name: config[name] for name in ("vocab_size", "max_position_embeddings")}
    BertModel(BertConfig(**sizes, **TINY)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder / name, folder)


def run_stage(folder: Path, stage: str) -> float:
    """Seconds from the start of a stage's process to its end."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"stages.{stage}"]
    start = time.perf_counter()
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{stage}: {run.stderr}")
    return time.perf_counter() - start


def exponent(values: Mapping[int, float]) -> float:
    """The slope of a line fitted, in log-log, to the values of the `FITTED` largest rows."""
    rows, heights = zip(*sorted(values.items())[-FITTED:], strict=True)
    return float(np.polyfit(np.log(rows), np.log(heights), 1)[0])


def table(figures: Figures) -> str:
    """The figures in Markdown, a row a stage."""
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


def draw(figures: Figures) -> str:
    """The SVG text of a picture: time and memory of each stage over the rows."""
    from matplotlib import style
    from matplotlib.figure import Figure

    from ordinal.reporting.charts import STYLE

    with style.context(STYLE):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        for axes, kind, title in zip(
            figure.subplots(1, 2), (0, 1), ("time (s)", "peak memory (MB)"), strict=True
        ):
            for stage, of_rows in figures.items():
                rows = sorted(of_rows)
                axes.loglog(rows, [of_rows[size][kind] for size in rows], "o-", ms=3, label=stage)
            axes.set_xlabel("rows")
            axes.set_title(title)
            axes.spines[["right", "top"]].set_visible(False)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right", frameon=False)
        picture = io.StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return picture.getvalue()


def measure(sizes: Sequence[int], encoder: Path) -> Figures:
    figures: dict[str, dict[int, tuple[float, float]]] = {stage: {} for stage in STAGES}
    with tempfile.TemporaryDirectory() as temporary:
        tiny = Path(temporary) / "encoder"
        in_child(save_tiny_encoder, encoder, tiny)
        for rows in sizes:
            folder = Path(temporary) / "project"
            in_child(new_project, folder, rows, tiny)
            for stage in STAGES:
                if rows <= MOST_LEARNED or stage not in LEARNING:
                    seconds, memory = in_child(run_stage, folder, stage)
                    figures[stage][rows] = seconds, memory
                    line = f"{rows:>9,} {stage:10} {seconds:7.1f} s {memory:6.0f} MB"
                    print(line, file=sys.stderr, flush=True)
            shutil.rmtree(folder)
    return figures


def main(
    sizes: Sequence[int] = SIZES, encoder: Path = ENCODER, picture: Path | None = None
) -> None:
    figures = measure(sizes, encoder)
    print(f"growth with the rows; exponents of the {FITTED} largest numbers of rows\n")
    print(table(figures))
    if picture:
        picture.write_text(draw(figures), encoding="utf-8")


if __name__ == "__main__":
    if given := [int(rows) for rows in sys.argv[1:]]:
        main(given, picture=PICTURE)
    else:
        main()
