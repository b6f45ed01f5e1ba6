"""`ordinal predict`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.explanations import check_options, print_explanations
from ordinal.cli.options import (
    RUN_AGAIN,
    TRAINED,
    ByLabel,
    Coverage,
    Method,
    Model,
    Precise,
    model_path,
    precise_path,
    print_table,
)
from ordinal.common.errors import CONTINUE, UserError, report_user_errors

if TYPE_CHECKING:
    from ordinal.distributions.conformal import IntervalRule
    from ordinal.prediction.parts import Options
    from ordinal.prediction.predictor import Predictor

Texts = Annotated[
    list[str] | None,
    typer.Argument(
        help="Texts; or a file, with --text; or files, folders and patterns, with --text and a "
        "folder for --out; or nothing, to read lines from stdin."
    ),
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
    str | None,
    typer.Option(
        help="A .csv, .jsonl or .parquet file; or a folder, for many files, with Parquet files; if "
        "not given, CSV goes to stdout."
    ),
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Leave the prediction of rows without a text empty.")
]
AbstainAbove = Annotated[
    int | None,
    typer.Option(
        metavar="WIDTH",
        help="Leave the label empty if the interval has more than this number of labels.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes that predict into a folder, or actors with --ray; all cores or GPUs if not "
        "given.",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Predict into a folder with Ray: local starts it on this machine, auto uses the "
        "cluster of this machine, HOST:PORT another one.",
    ),
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
    precise: Precise = None,
    out: Out = None,
    coverage: Coverage = 0.9,
    coverage_by: ByLabel = "none",
    interval: Method = "adaptive",
    abstain_above: AbstainAbove = None,
    keep_going: KeepGoing = False,
    keep: Keep = [],  # noqa: B006
    formats: Formats = [],  # noqa: B006
    workers: Workers = None,
    ray: Ray = None,
    explain: Explain = False,
    as_json: Json = False,
) -> None:
    """Predict the label of each text, with an interval and the probability of every label.

    The columns of a file follow as they are. One that is called like a column before it, such as
    label, gets the ending _in_file.

    With --precise, at least 99.9 % of the labels are those of that model, according to validation
    rows. Probabilities may differ in the second digit, and with them the ends of intervals.
    """
    from ordinal.common.formats import Format
    from ordinal.distributions.conformal import IntervalRule
    from ordinal.prediction.parts import Options

    folder = _folder(out, texts := texts or [], text)
    with (
        report_user_errors(CONTINUE if folder else RUN_AGAIN),
        model_path(model) as path,
        precise_path(precise) as exact,
    ):
        others = {"out": out, "precise": precise, "keep": keep, "workers": workers, "ray": ray}
        check_options(explain, as_json, keep_going=keep_going, **others)
        rule = IntervalRule(coverage, coverage_by, interval)
        load_once = _loader(path, exact, rule, abstain_above)
        columns = text or _columns_of_model(texts, path, load_once)
        options = Options(columns, keep, Format.parse(formats), rule, abstain_above)
        if explain:
            _explain(texts, path, load_once, options, as_json)
        elif folder:
            _predict_folder(texts, path, exact, options, folder, workers, ray)
        elif workers or ray:
            raise UserError("--workers and --ray need files, --text, and a folder for --out")
        else:
            _predict_texts(texts, load_once, options, out, keep_going)


def _folder(out: str | None, texts: Sequence[str], columns: Sequence[str]) -> str | None:
    """Return `--out` if it is a folder for the predictions of tables."""
    from ordinal.prediction.blocks import names_folder, stand_for_files

    are_tables = texts and (columns or stand_for_files(texts))
    return out if out and are_tables and names_folder(out, texts) else None


def _loader(
    path: Path, precise: Path | None, rule: "IntervalRule", abstain_above: int | None
) -> Callable[[], "Predictor"]:
    """Return a function that loads the model when it is first called."""
    from ordinal import load

    return cache(partial(load, path, precise=precise, abstain_above=abstain_above, **asdict(rule)))


def _columns_of_model(
    texts: Sequence[str], path: Path, load_once: Callable[[], "Predictor"]
) -> list[str]:
    """Return the text columns of the model if `texts` are files, and the model has several."""
    from ordinal.prediction.blocks import stand_for_files
    from ordinal.prediction.load import text_columns

    if not stand_for_files(texts):
        return []
    return list(load_once().columns) if path.suffix == ".onnx" else text_columns(path)


def _predict_texts(
    texts: Sequence[str],
    load_once: Callable[[], "Predictor"],
    options: "Options",
    out: str | None,
    keep_going: bool,
) -> None:
    """Write the predictions of texts, of lines or of one table to a file or to stdout."""
    from ordinal.prediction.inputs import choose_texts
    from ordinal.prediction.streaming import abstentions, predict_rows, table_writer

    path = Path(out) if out else None
    abstained = 0
    with table_writer(path) as write:
        source = choose_texts(texts, options.text, path, sys.stdin, options.format, options.keep)
        predictor = load_once()
        if texts and not options.text and not out and sys.stdout.isatty():
            abstained = _print_predictions(predictor, texts)
        else:
            for table in predict_rows(predictor, source, keep_going):
                write(table)
                abstained += abstentions(table)
    _print_abstentions(options, abstained)


def _explain(
    texts: Sequence[str],
    model: Path,
    load_once: Callable[[], "Predictor"],
    options: "Options",
    as_json: bool,
) -> None:
    """Print the predictions of texts, of lines or of one table, with the effect of each word."""
    from ordinal.prediction.inputs import choose_texts

    source = choose_texts(texts, options.text, None, sys.stdin, options.format, options.text)
    _print_abstentions(options, print_explanations(model, load_once, source, as_json))


def _predict_folder(
    names: Sequence[str],
    model: Path,
    precise: Path | None,
    options: "Options",
    out: str,
    workers: int | None,
    address: str | None,
) -> None:
    """Write the predictions of many tables into a folder, and print a summary."""
    from ordinal.prediction.folder import in_processes, predict_folder

    if not options.text:
        raise UserError("the files need the name of their text column: add --text")
    if address:
        from ordinal.prediction.on_ray import on_ray

        run = partial(on_ray, address, workers)
    else:
        run = partial(in_processes, workers)
    summary = predict_folder(names, model, precise, options, out, run)
    print(
        f"{summary.predicted:,} rows predicted, {summary.skipped:,} skipped (predicted before), "
        f"{summary.bad:,} bad (listed in {out.rstrip('/')}/_bad_rows)"
    )
    _print_abstentions(options, summary.abstained)
    if summary.problems:
        problems = "; ".join(summary.problems)
        raise UserError(f"{len(summary.problems)} of the files can't be read: {problems}")


def _print_predictions(predictor: "Predictor", texts: Sequence[str]) -> int:
    """Print the predictions of texts as a table, and return the number of those without a label."""
    from ordinal.reporting.terminal import predictions_table

    predictions = predictor.predict(texts)
    print_table(predictions_table(texts, predictions))
    return sum(prediction.label is None for prediction in predictions)


def _print_abstentions(options: "Options", number: int) -> None:
    """Print the number of rows without a label on stderr, because stdout may be a table."""
    if options.abstain_above is not None:
        width = options.abstain_above
        print(
            f"rows without a label: {number:,} (more than {width} in their interval)",
            file=sys.stderr,
        )
