"""A run compared with another one, such as that of an earlier commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ordinal.evaluation.metrics import expected_error
from ordinal.evaluation.predictions import probabilities_of
from ordinal.experiments import revisions
from ordinal.experiments.comparison import Difference, compare
from ordinal.reporting.run import Run, parameters_of

MAX_CHANGED = 6  # reviews that are shown as better, and as worse
ABSENT = "–"  # the value of a parameter that a run does not have

Parameters = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class OtherRun:
    """A run of another revision."""

    name: str
    """The revision, as the user named it."""
    predictions: pd.DataFrame
    """The table of predictions of the test rows (see `evaluation.predictions`)."""
    parameters: Parameters
    """The parameters by section."""


@dataclass(frozen=True)
class RunComparison:
    """A run compared with another one. Differences are those of this run minus the other one."""

    name: str
    """The other run's revision."""
    differences: Mapping[str, Difference]
    """By metric; `first` is the other run."""
    parameters: list[tuple[str, str, str]]
    """Each parameter that differs: its name, and its value in this run and in the other one."""
    reviews: pd.DataFrame
    """The table of `changed_reviews`."""

    @property
    def better(self) -> pd.DataFrame:
        """The reviews whose error became smaller, those that changed most first."""
        return self.reviews[self.reviews["change"] < 0]

    @property
    def worse(self) -> pd.DataFrame:
        """The reviews whose error became larger, those that changed most first."""
        return self.reviews[self.reviews["change"] > 0][::-1]


def read_other_run(revision: str) -> OtherRun:
    """Read the run of a commit, branch, tag or experiment.

    Raises:
        UserError: there is no such revision, or neither cache nor remote has its predictions.
    """
    predictions = revisions.predictions(revision)
    return OtherRun(revision, predictions, parameters_of(revisions.locked_stages(revision)))


def compare_runs(run: Run, other: OtherRun) -> RunComparison:
    """Compare a run with another one.

    Raises:
        UserError: they have other test rows or labels.
    """
    return RunComparison(
        other.name,
        compare(other.predictions, run.predictions),
        different_parameters(run.parameters, other.parameters),
        changed_reviews(run.predictions, other.predictions),
    )


def different_parameters(this: Parameters, other: Parameters) -> list[tuple[str, str, str]]:
    """Return the name and both values of each parameter that differs, for display."""
    flat = [
        {
            f"{section}.{key}": "none" if value is None else str(value)
            for section, values in parameters.items()
            for key, value in values.items()
        }
        for parameters in (this, other)
    ]
    pairs = {name: [values.get(name, ABSENT) for values in flat] for name in flat[0] | flat[1]}
    return [(name, first, second) for name, (first, second) in pairs.items() if first != second]


def changed_reviews(this: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with another prediction in two tables of predictions of the same rows.

    New columns are `other`, the other prediction; `change` of the absolute error, negative if it
    is smaller in `this`; and `p_this` and `p_other`, the probabilities of the true label. The rows
    come in the order of `change`, then of the change of the expected error of the true label.
    """
    labels = this["label"].to_numpy()
    both = probabilities_of(this), probabilities_of(other)
    before, after = (abs(table["predicted"].to_numpy() - labels) for table in (other, this))
    table = this.assign(
        other=other["predicted"].to_numpy(),
        change=after - before,
        expected_change=expected_error(labels, both[0]) - expected_error(labels, both[1]),
        p_this=both[0][range(len(labels)), labels],
        p_other=both[1][range(len(labels)), labels],
    )
    changed = table[table["predicted"] != table["other"]]
    return changed.sort_values(["change", "expected_change", "row"])
