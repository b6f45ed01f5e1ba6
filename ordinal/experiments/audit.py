"""Find labels that are probably wrong, by models that were not trained on them.

The folds are DVC experiments. Each row has the predictions of the models of its own fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ordinal.common.choices import Decoding
from ordinal.common.columns import CORRECTION, distinct_names
from ordinal.common.costs import Costs
from ordinal.common.errors import UserError
from ordinal.common.folds import Fold
from ordinal.common.params import Data, Model
from ordinal.common.types import Floats, Labels, Probabilities, Rows
from ordinal.distributions.decoding import decode
from ordinal.evaluation.label_errors import SCORES, Share, wrong_share
from ordinal.evaluation.predictions import probabilities_of, refuse_other_rows
from ordinal.experiments import queue
from ordinal.experiments.overrides import checked_value, overrides_of
from ordinal.experiments.study import local_files

SCORE = "excess_rps"
"""The one of `SCORES` by which rows are ranked."""
COLUMNS = ("row", "text", "label", "suggested", "score", CORRECTION)
"""Columns of the ranked table; the kept columns are between the first two."""
DECIMALS = 4


@dataclass(frozen=True)
class OutOfFold:
    """The distribution of each row by models that were not trained on it, in the order of rows."""

    rows: Rows
    labels: Labels
    probabilities: Probabilities


@dataclass(frozen=True)
class Audit:
    """Rows from the most suspicious label to the least, and the share of wrong labels."""

    table: pd.DataFrame
    """Columns `COLUMNS`; labels are written by name."""
    scores: Floats
    differs: Labels
    """1 for each of the `scores` whose label is not the suggested one, else 0."""
    share: Share


def train_folds(folds: int, seeds: int, jobs: int) -> dict[str, list[str]]:
    """Train a model for each fold and seed, `jobs` at a time, as DVC experiments.

    Runs that the current commit already has are not repeated.

    Returns:
        The names of the experiments of each fold, one per seed.

    Raises:
        UserError: the split has no folds, or the queue can't run; see `queue.run_variants`.
    """
    variants = {}
    for number in range(1, folds + 1):
        fold = checked_value("--folds", "split.fold", str(Fold(number, folds)))
        variants[fold_name(Fold(number, folds))] = overrides_of({"split.fold": fold})
    queue.refuse_untracked(local_files(Data.load().name, Model.load().name))
    return queue.run_variants(variants, seeds, jobs, "audit")


def fold_name(fold: Fold) -> str:
    """Return the name of the variant of a fold."""
    return f"fold-{fold.number}-of-{fold.folds}"


def out_of_fold(runs: Mapping[str, Sequence[pd.DataFrame]]) -> OutOfFold:
    """Join the test predictions of all folds; the distribution of a row is the mean over seeds.

    Args:
        runs: the tables of predictions of each fold, one per seed.

    Raises:
        UserError: the seeds of a fold have different rows, or a row is in two folds.
    """
    for fold, tables in runs.items():
        for table in tables[1:]:
            refuse_other_rows(tables[0], table, f"the seeds of {fold}")
    first = pd.concat([tables[0][["row", "label"]] for tables in runs.values()])
    rows = first["row"].to_numpy(np.int64)
    if len(np.unique(rows)) < len(rows):
        raise UserError("a row is in two folds: the runs are not those of one audit")
    means = [np.mean([*map(probabilities_of, tables)], axis=0) for tables in runs.values()]
    order = np.argsort(rows)
    labels = first["label"].to_numpy(np.int64)
    return OutOfFold(rows[order], labels[order], np.concatenate(means)[order])


def rank(
    found: OutOfFold,
    reviews: pd.DataFrame,
    names: Sequence[str],
    rule: Decoding,
    costs: Costs | None = None,
) -> Audit:
    """Rank the rows from the most suspicious label to the least.

    Args:
        found: the distributions.
        reviews: `row`, `text`, `label` and the kept columns of the same rows.
        names: the K labels, lowest first.
        rule: the rule that turns a distribution into the suggested label.
        costs: the costs of errors, for the rule `cost`.
    """
    suggested = decode(found.probabilities, rule, costs)
    scores = SCORES[SCORE](found.labels, found.probabilities)
    order = np.argsort(-scores, kind="stable")
    by_name = np.asarray(names, object)
    sorted_reviews = reviews.set_index("row").loc[found.rows[order]].reset_index()
    kept = sorted_reviews.drop(columns=["row", "text", "label"])
    kept.columns = pd.Index(distinct_names(COLUMNS, [*map(str, kept.columns)]))
    own = pd.DataFrame(
        {
            "text": sorted_reviews["text"],
            "label": by_name[found.labels[order]],
            "suggested": by_name[suggested[order]],
            "score": scores[order].round(DECIMALS),
            CORRECTION: "",
        }
    )
    return Audit(
        table=pd.concat([sorted_reviews[["row"]], kept, own], axis=1),
        scores=scores[order],
        differs=(suggested != found.labels)[order].astype(np.int64),
        share=wrong_share(found.labels, suggested, found.probabilities),
    )
