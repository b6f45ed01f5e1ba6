"""`ordinal watch`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ordinal.cli.options import (
    RUN_AGAIN,
    TRAINED,
    Coverage,
    Model,
    Precise,
    model_path,
    precise_path,
    print_table,
    write_page,
)
from ordinal.cli.predict import Formats, TextColumns
from ordinal.common.errors import UserError, report_user_errors

if TYPE_CHECKING:
    from ordinal.common.formats import Format
    from ordinal.prediction.predictor import Predictor
    from ordinal.reporting.watch import Comparison

ALARM = 3  # exit status

File = Annotated[Path, typer.Argument(help="The table of new rows, oldest first.")]
Label = Annotated[
    str | None,
    typer.Option(help="Label column of the file, to test errors too. Rows may lack their label."),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        help="Table to compare with, which has the same columns: rows that the model was not "
        "trained on. The validation rows of this project's run if not given."
    ),
]
Alpha = Annotated[
    float,
    typer.Option(
        min=0.001, max=0.5, help="Probability of a false alarm if nothing has changed, at most."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Web page to write, with a chart per measure.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Tables(NamedTuple):
    """The tables to compare, and how to read them."""

    file: Path
    reference: Path | None
    columns: list[str]
    label: str | None
    format: "Format"


def watch(
    file: File,
    text: TextColumns = [],  # noqa: B006 (typer copies it)
    label: Label = None,
    model: Model = TRAINED,
    precise: Precise = None,
    reference: Reference = None,
    coverage: Coverage = 0.9,
    alpha: Alpha = 0.01,
    formats: Formats = [],  # noqa: B006
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Warn if new texts differ from the validation rows: exit status 3 with an alarm, else 0.

    Compares predicted labels, widths of intervals, lengths and unknown tokens. With --label, also
    compares errors, and tests the coverage of the intervals and the order of the rows.
    """
    from ordinal import load
    from ordinal.common.formats import Format
    from ordinal.reporting.watch import watch_page

    with (
        report_user_errors(RUN_AGAIN),
        model_path(model) as path,
        precise_path(precise) as exact,
    ):
        fixed = Format.parse(formats)
        for table in filter(None, (file, reference)):
            if not table.is_file():
                raise UserError(f"{table} is not a file: name a table")
        predictor = load(path, precise=exact, coverage=coverage)
        columns = text or list(predictor.columns)
        if not columns:
            raise UserError(f"{file} needs the name of its text column: add --text")
        tables = Tables(file, reference, columns, label, fixed)
        comparison = _compare(predictor, tables, alpha)
        if out:
            write_page(watch_page(comparison), out)
        _print(comparison, as_json)
        if comparison.alarm:
            sys.exit(ALARM)


def _compare(predictor: "Predictor", tables: Tables, alpha: float) -> "Comparison":
    from ordinal.evaluation.drift import changes
    from ordinal.prediction.watch import (
        HELD_OUT,
        calibration_rows,
        sample_of_run,
        sample_of_table,
    )
    from ordinal.reporting.watch import Comparison

    how = tables.columns, tables.label, tables.format
    if tables.reference is None:
        before = sample_of_run(predictor)
    else:
        before = sample_of_table(predictor, tables.reference, *how)
    now = sample_of_table(predictor, tables.file, *how)
    coverage = predictor.interval_rule.coverage
    found = changes(
        before, now, len(predictor.labels), coverage, calibration_rows(predictor), alpha
    )
    sources = str(tables.reference or HELD_OUT), str(tables.file)
    return Comparison(predictor.labels, sources, before, now, found, alpha)


def _print(comparison: "Comparison", as_json: bool) -> None:
    from ordinal.reporting.watch import watch_json, watch_table

    if as_json:
        print(json.dumps(watch_json(comparison), indent=2, ensure_ascii=False))
    else:
        print_table(watch_table(comparison))
