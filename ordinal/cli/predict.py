"""`ordinal predict`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.explanations import check_options, print_explanations
from ordinal.cli.options import RUN_AGAIN, TRAINED, Coverage, Model, model_path, print_table
from ordinal.common.errors import report_user_errors

if TYPE_CHECKING:
    from ordinal.prediction.predictor import Predictor

Texts = Annotated[
    list[str] | None,
    typer.Argument(help="Texts; or one file, with --text; or nothing, to read lines from stdin."),
]
TextColumns = Annotated[
    list[str],
    typer.Option(
        "--text",
        help="Text column of the file, a table. Repeat it for several, which are joined in this "
        "order. Not needed if the model was trained on several.",
    ),
]
Keep = Annotated[
    list[str],
    typer.Option(help="Column of the file to return; repeat it for more. All if not given."),
]
Formats = Annotated[
    list[str],
    typer.Option("--format", help="FIELD=VALUE of the table's format, such as encoding=cp1252."),
]
Out = Annotated[
    Path | None,
    typer.Option(help="A .csv, .jsonl or .parquet file; if not given, CSV goes to stdout."),
]
Bf16 = Annotated[
    bool,
    typer.Option("--bf16", help="Compute in bf16 on a CPU: faster if it supports bf16."),
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Leave the prediction of rows without a text empty.")
]

Explain = Annotated[
    bool, typer.Option("--explain", help="Print the effect of each word on the expected label.")
]
Json = Annotated[
    bool, typer.Option("--json", help="With --explain, print a line of JSON per text.")
]


def predict(
    texts: Texts = None,
    text: TextColumns = [],  # noqa: B006 (typer copies it)
    model: Model = TRAINED,
    out: Out = None,
    coverage: Coverage = 0.9,
    bf16: Bf16 = False,
    keep_going: KeepGoing = False,
    keep: Keep = [],  # noqa: B006
    formats: Formats = [],  # noqa: B006
    explain: Explain = False,
    as_json: Json = False,
) -> None:
    """Predict the label of each text, with an interval and the probability of every label.

    The columns of a file follow as they are. One that is called like a column before it, such as
    label, gets the ending _in_file.

    With --bf16, texts whose label could change because of bf16 rounding are computed again in fp32.
    Probabilities may differ in the second digit, and with them the ends of intervals.
    """
    from ordinal import load
    from ordinal.common.formats import Format
    from ordinal.prediction.inputs import choose_texts
    from ordinal.prediction.load import text_columns
    from ordinal.prediction.streaming import predict_rows, table_writer

    with report_user_errors(RUN_AGAIN), model_path(model) as path, table_writer(out) as write:
        check_options(explain, as_json, out=out, bf16=bf16, keep_going=keep_going, keep=keep)
        texts = texts or []
        is_file = len(texts) == 1 and any(map(os.path.isfile, texts))
        columns = text or (text_columns(path) if is_file else [])
        source = choose_texts(texts, columns, out, sys.stdin, Format.parse(formats), keep)
        if explain:
            print_explanations(path, coverage, source, as_json)
            return
        predictor = load(path, coverage=coverage, precision="bf16-mixed" if bf16 else "auto")
        if bf16:
            _warn_if_slow()
        if texts and not columns and not out and sys.stdout.isatty():
            _print_predictions(predictor, texts)
            return
        for table in predict_rows(predictor, source, keep_going):
            write(table)


def _warn_if_slow() -> None:
    from ordinal.model.device import choose_device, slow_precision

    if warning := slow_precision("bf16-mixed", choose_device("auto")):
        print(f"predict: {warning}", file=sys.stderr)


def _print_predictions(predictor: "Predictor", texts: list[str]) -> None:
    from ordinal.reporting.terminal import predictions_table

    print_table(predictions_table(texts, predictor.predict(texts)))
