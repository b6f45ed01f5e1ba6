"""Coverage and width of the label intervals by method, for all rows and for the rows of each label.

The validation rows calibrate, and the test rows are measured: those of the project's last run, and
those of a simulation, whose distributions are known and often have two peaks.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ordinal.common.choices import CoverageBy, Interval
from ordinal.common.paths import PREDICTIONS
from ordinal.common.types import Labels, Probabilities
from ordinal.distributions.conformal import IntervalRule, calibration_scores
from ordinal.evaluation.predictions import probabilities_of

COVERAGE = 0.9
BY: tuple[CoverageBy, ...] = ("none", "label")
METHODS: tuple[Interval, ...] = ("adaptive", "shortest")
VALIDATION_ROWS, TEST_ROWS = 1_000, 100_000
CONCENTRATIONS = (0.9, 0.6, 0.6, 0.3, 0.15)  # of the simulated labels: the last one is rare
HEADINGS = "| coverage_by | interval | coverage | width | coverage per label | width per label |"
Rows = tuple[Labels, Probabilities]


def main(predictions: Path = PREDICTIONS) -> None:
    parts = [predictions / f"{part}.parquet" for part in ("validation", "test")]
    if predictions.is_dir():
        compare("last run", *map(read, parts))
    compare("simulation", draw(VALIDATION_ROWS, seed=0), draw(TEST_ROWS, seed=1))


def read(path: Path) -> Rows:
    table = pd.read_parquet(path)
    return table["label"].to_numpy(np.int64), probabilities_of(table)


def draw(rows: int, seed: int) -> Rows:
    """Return labels, and the distributions that they were drawn from."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(CONCENTRATIONS, size=rows)
    labels = (probabilities.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    return labels, probabilities


def compare(title: str, validation: Rows, test: Rows) -> None:
    labels, probabilities = test
    classes = probabilities.shape[1]
    scores = calibration_scores(*validation)
    rises = np.diff(probabilities, axis=1, prepend=0, append=0) > 0
    peaks = (rises[:, :-1] & ~rises[:, 1:]).sum(axis=1)
    print(f"{title}: {len(labels)} test rows, {np.mean(peaks > 1):.1%} of them with several peaks")
    print(f"validation rows per label: {np.bincount(validation[0], minlength=classes).tolist()}")
    print(f"{HEADINGS}\n|---|---|---:|---:|---|---|")
    rows_of = [labels == k for k in range(classes)]
    for by in BY:
        for method in METHODS:
            low, high = IntervalRule(COVERAGE, by, method).intervals(probabilities, scores)
            covered, width = (low <= labels) & (labels <= high), high - low + 1
            cells = [
                f"{covered.mean():.3f}",
                f"{width.mean():.2f}",
                ", ".join(f"{covered[rows].mean():.2f}" for rows in rows_of),
                ", ".join(f"{width[rows].mean():.1f}" for rows in rows_of),
            ]
            print(f"| {by} | {method} | {' | '.join(cells)} |")
    print()


if __name__ == "__main__":
    main()
