"""`ordinal audit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import print_table
from ordinal.common.columns import CORRECTION
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_file, for_json, write_json
from ordinal.common.paths import AUDIT, AUDIT_RESULTS, CATALOG

if TYPE_CHECKING:
    from ordinal.experiments.audit import Audit

LABELS = AUDIT / "labels.csv"
CHART = AUDIT_RESULTS / "scores.svg"
FIGURES = AUDIT_RESULTS / "audit.json"
RUNS = AUDIT_RESULTS / "folds.parquet"
SHOWN = 10  # rows in the printed table

Folds = Annotated[int, typer.Option(min=2, help="Number of folds, each with its own model.")]
Seeds = Annotated[
    int,
    typer.Option(
        min=1, help="Models per fold, with seeds 1, 2, …; their predictions are averaged."
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Number of runs at the same time.")]

Apply = Annotated[
    Path | None,
    typer.Option(
        "--apply",
        help="Instead, write a corrected copy of the data from this table.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="With --apply: name of the new entry. By default, that of the data set and -corrected."
    ),
]


def audit(
    folds: Folds = 5, seeds: Seeds = 1, jobs: Jobs = 1, apply: Apply = None, name: Name = None
) -> None:
    """Find labels that are probably wrong.

    Each row is predicted by a model that was trained on the other folds. The rows are ranked by the
    ranked probability score of their label minus the score that their distribution expects, and the
    share of wrong labels is estimated. The table to correct by hand is data/audit/labels.csv. A
    chart, the figures and the predictions of all runs are in metrics/audit.

    The runs are DVC experiments of the current commit, run through DVC's queue. If an audit is
    interrupted, the same command continues it.

    With --apply, the corrected copy is data/own/NAME.parquet and an entry of data/catalog.yaml.
    """
    with report_user_errors():
        if apply:
            _apply(apply, name)
            return
        if name:
            raise UserError("--name is for --apply: leave it out")
        _refuse_to_overwrite()
        found = _find(folds, seeds, jobs)
        _write(found, folds, seeds)
        _print(found)


def _apply(table: Path, name: str | None) -> None:
    from ordinal.own_data.corrections import apply_corrections

    copy = apply_corrections(table, name)
    labels = "label" if copy.count == 1 else "labels"
    print(f"{copy.count} {labels} corrected: {copy.path}, entry {copy.name} of {CATALOG}")
    print(f"To train on it: {copy.command}")


def _refuse_to_overwrite() -> None:
    """Refuse to replace a table in which somebody has written corrections."""
    if not LABELS.exists():
        return
    import pandas as pd

    try:
        table = pd.read_csv(LABELS, dtype=str, usecols=[CORRECTION])
        is_filled = bool(table[CORRECTION].notna().any())
    except (ValueError, OSError):  # another layout, as after a spreadsheet has saved it
        is_filled = True
    if is_filled:
        raise UserError(
            f"{LABELS} has corrections, or was saved by another program: apply them, and move the "
            "file to another folder, because an audit overwrites it"
        )


def _find(folds: int, seeds: int, jobs: int) -> "Audit":
    import pandas as pd

    from ordinal.common.params import Train
    from ordinal.evaluation.predictions import shared_costs
    from ordinal.experiments import audit as audits
    from ordinal.experiments import revisions
    from ordinal.experiments.results import write_runs

    names = audits.train_folds(folds, seeds, jobs)
    runs = {fold: [*map(revisions.predictions, of_fold)] for fold, of_fold in names.items()}
    with atomic_file(RUNS) as path:
        write_runs(runs, path)
    reviews = pd.concat([revisions.reviews(first) for first, *_ in names.values()])
    labels = revisions.label_names(next(iter(names.values()))[0])
    costs = shared_costs(table for tables in runs.values() for table in tables)
    return audits.rank(audits.out_of_fold(runs), reviews, labels, Train.load().decode, costs)


def _write(found: "Audit", folds: int, seeds: int) -> None:
    from dataclasses import asdict

    from ordinal.data.spreadsheets import escape_table
    from ordinal.reporting.charts import scores_chart

    rows = len(found.table)
    title = f"Scores of {rows} labels, {folds} folds"
    counts = {
        "rows": rows,
        "folds": folds,
        "seeds": seeds,
        "not_suggested": int(found.differs.sum()),
    }
    with atomic_file(CHART) as path:
        path.write_text(scores_chart(found.scores, found.differs, title), encoding="utf-8")
    write_json(FIGURES, counts | {"wrong_share": for_json(asdict(found.share))})
    with atomic_file(LABELS) as path:
        escape_table(found.table).to_csv(path, index=False, lineterminator="\n")


def _print(found: "Audit") -> None:
    from ordinal.reporting.audits import share_sentence, suspects_table

    print_table(suspects_table(found.table.head(SHOWN)))
    print(share_sentence(found.share))
    print(f"All rows are in {LABELS}. To correct labels, fill its column {CORRECTION}, and run")
    print(f"ordinal audit --apply {LABELS}")
