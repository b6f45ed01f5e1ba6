"""`ordinal predict`."""

import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
) -> None:
    """Predict the label of each text, with an interval and the probability of every label.

    The columns of a file follow as they are. One that is called like a column before it, such as
    label, gets the ending _in_file.

    With --bf16, texts whose label could change because of bf16 rounding are computed again in fp32.
    Probabilities may differ in the second digit, and with them the ends of intervals.
    """
    from ordinal.common.formats import Format
    from ordinal.prediction.inputs import choose_texts
    from ordinal.prediction.streaming import predict_rows, table_writer

    texts = texts or []
    with report_user_errors(RUN_AGAIN), model_path(model) as path, table_writer(out) as write:
        load_once = cache(partial(_load, path, coverage, bf16))
        columns = text or _columns_of_model(texts, path, load_once)
        source = choose_texts(texts, columns, out, sys.stdin, Format.parse(formats), keep)
        predictor = load_once()
        if texts and not columns and not out and sys.stdout.isatty():
            _print_predictions(predictor, texts)
            return
        for table in predict_rows(predictor, source, keep_going):
            write(table)


def _load(path: Path, coverage: float, bf16: bool) -> "Predictor":
    """Load the model, and warn if it would be slow in bf16."""
    from ordinal import load

    if not bf16:
        return load(path, coverage=coverage)
    from ordinal.model.device import choose_device, slow_precision

    predictor = load(path, coverage=coverage, precision="bf16-mixed")
    if warning := slow_precision("bf16-mixed", choose_device("auto")):
        print(f"predict: {warning}", file=sys.stderr)
    return predictor


def _columns_of_model(
    texts: list[str], path: Path, load_once: Callable[[], "Predictor"]
) -> list[str]:
    """Return the text columns of the model if `texts` is one file, and the model has several."""
    from ordinal.prediction.load import text_columns

    is_file = len(texts) == 1 and any(map(os.path.isfile, texts))
    if not is_file:
        return []
    return list(load_once().columns) if path.suffix == ".onnx" else text_columns(path)


def _print_predictions(predictor: "Predictor", texts: list[str]) -> None:
    from ordinal.reporting.terminal import predictions_table

    print_table(predictions_table(texts, predictor.predict(texts)))
