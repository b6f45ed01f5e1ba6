"""Results of one step, and the sizes of all steps."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.corpora import hotel_lengths, random_tokens, short_lengths
from ordinal.common.choices import Precision
from ordinal.common.files import read_json
from ordinal.common.types import Rows
from ordinal.tokenization.tokens import Tokens

LARGE = {"dim": 1024, "n_layers": 24, "n_heads": 16, "hidden_dim": 4096}  # as BERT-large
TINY = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
CORPORA = {"hotel": hotel_lengths, "short": short_lengths}


class Record:
    """Print lines and write figures to a JSON file at once, so that a stop loses nothing."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self.path = path
        self.facts = facts

    def add(self, line: str, **figures: Any) -> None:
        self.facts |= figures
        self.save()
        print(f"  {line}", flush=True)

    def save(self) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(self.facts, indent=1), encoding="utf-8")
        draft.replace(self.path)


@dataclass(frozen=True)
class Sizes:
    """Sizes of all measurements: by default those for a GPU."""

    device: torch.device
    encoder: Path
    """A pretrained encoder, for the steps that have to learn something."""
    shape: Path
    """An encoder of DistilBERT's shape with random weights."""
    precision: Precision = "bf16-mixed"
    longest: int = 512
    """Tokens of the longest text."""
    repeats: int = 3
    curve_steps: int = 40
    """Steps of the loss curves; the CPU computes one of them."""
    watched: tuple[int, int] = (20, 59)
    """First and last step in which host synchronisations are counted."""
    rows: int = 1920
    """Training rows per epoch of each measurement of speed."""
    cells: tuple[tuple[str, int], ...] = (
        *(("hotel", size) for size in (12, 16, 32, 64)),
        *(("short", size) for size in (12, 64)),
    )
    """Texts and batch size of each comparison with Trainer."""
    tutorial_steps: int = 30
    batches: tuple[int, ...] = (16, 64, 128, 256)
    """Batch sizes of the share of the matrix rate."""
    stage_rows: int = 4900
    """Training rows of the default recipe: the tutorial's."""
    texts: int = 1000
    """Texts to predict."""
    pipeline_batches: tuple[int, ...] = (8, 32, 64, 128, 256)
    corn_steps: int = 100
    resume_rows: int = 2000
    resume_every: int = 50
    """Steps between checkpoints of the run that is killed."""
    resume_pause: float = 0.5
    """Seconds from the first checkpoint to the kill."""
    large: dict[str, int] = field(default_factory=lambda: LARGE)
    """Shape of the encoder whose memory is measured."""
    large_steps: int = 10

    def lengths(self, corpus: str, rows: int) -> Rows:
        return CORPORA[corpus](rows).clip(max=self.longest)

    def tokens(self, corpus: str, rows: int, encoder: Path) -> Tokens:
        vocabulary = read_json(encoder / "config.json")["vocab_size"]
        return random_tokens(self.lengths(corpus, rows), vocabulary)

    @property
    def accelerator(self) -> str:
        return "gpu" if self.device.type == "cuda" else "cpu"


def rehearsal(device: torch.device, encoder: Path, shape: Path) -> Sizes:
    """Sizes with which all steps run in seconds, to try them without a GPU."""
    return Sizes(
        device,
        encoder,
        shape,
        precision="32-true",
        longest=32,
        repeats=1,
        curve_steps=6,
        watched=(1, 3),
        rows=48,
        cells=(("hotel", 12), ("short", 16)),
        tutorial_steps=2,
        batches=(16,),
        stage_rows=70,
        texts=30,
        pipeline_batches=(8,),
        corn_steps=3,
        resume_rows=320,
        resume_every=4,
        resume_pause=0.0,
        large=TINY,
        large_steps=2,
    )
