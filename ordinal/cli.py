"""The command line, for what is no stage of the pipeline."""

import json
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_file, for_json, read_json
from ordinal.common.paths import DETAILS
from ordinal.reporting.terminal import (
    arms_rows,
    arms_table,
    comparison_markdown,
    comparison_table,
    facts_lines,
    forms_table,
    labels_table,
    predictions_table,
    results_table,
)

AGAIN = "run it again"
CATALOG = Path("data/catalog.yaml")
OWN = Path("data/own")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def ordinal() -> None:
    """Ordinal regression with fine-tuned transformers."""


@app.command()
def results(
    project: Annotated[Path, typer.Argument(help="The project's root.")] = Path(),
) -> None:
    """Show the model beside the baselines, on the test rows."""
    with report_user_errors(AGAIN):
        try:
            details = read_json(project / DETAILS)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is missing: run `make repro` first") from None
        _print(results_table(details))


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
) -> None:
    """Write all about the finished run as one web page, which needs no other file."""
    from ordinal.reporting.report import report as page
    from ordinal.reporting.run import read_run

    with report_user_errors(AGAIN):
        text = page(read_run(Path()))
        try:
            with atomic_file(out) as path:
                path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{out} can't be written: {error.strerror}") from None
        print(f"report: {out}")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A commit, branch, tag or experiment.")],
    second: Annotated[str, typer.Argument(help="Another one.")] = "workspace",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Draws behind each figure.")] = 1000,
) -> None:
    """Test two runs against each other, on the same test rows.

    Gives each metric of both, the difference with its paired 95 % bootstrap interval, and the
    p-value of a paired permutation test.
    """
    from ordinal.experiments.comparison import compare as compare_predictions
    from ordinal.experiments.revisions import predictions

    with report_user_errors(AGAIN):
        differences = compare_predictions(predictions(first), predictions(second), resamples)
        if as_json:
            rows = {name: for_json(asdict(figures)) for name, figures in differences.items()}
            print(json.dumps(rows, indent=2))
        elif as_markdown:
            print(comparison_markdown(first, second, differences))
        else:
            _print(comparison_table(first, second, differences))


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="Names the files of the result.")],
    overrides: Annotated[
        list[str],
        typer.Option("--set-param", "-S", help="KEY=VALUE of all arms; KEY=VALUE,VALUE: a grid."),
    ] = [],  # noqa: B006 (typer copies it)
    arm: Annotated[list[str], typer.Option(help="An arm: 'NAME: KEY=VALUE KEY=VALUE …'.")] = [],  # noqa: B006
    reference: Annotated[
        str | None, typer.Option(help="The arm that the others are tested against; else the first.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each arm, with seeds 1, 2, …")] = 5,
    metric: Annotated[str, typer.Option(help="mae, accuracy, off_by_one or rps.")] = "mae",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 1,
) -> None:
    """Train several variants with several seeds each, and test them against one of them.

    The runs are DVC experiments of the current commit, made through DVC's queue: a study that was
    interrupted goes on where it was when the command is given again. The table is printed, and
    written with a picture to metrics/studies/NAME.csv and NAME.svg.
    """
    import pandas as pd

    from ordinal.common.paths import STUDIES
    from ordinal.experiments import queue, revisions
    from ordinal.experiments.study import Metric, compare_arms
    from ordinal.reporting.charts import dots_and_intervals

    with report_user_errors():
        if metric not in get_args(Metric):
            raise UserError(f"--metric {metric} is not one of {', '.join(get_args(Metric))}")
        arms = queue.arms_of(arm, overrides)
        reference = reference or next(iter(arms))
        if reference not in arms:
            raise UserError(f"there is no arm '{reference}': there is {', '.join(arms)}")
        runs = queue.run_study(arms, seeds, jobs)
        compared = compare_arms(
            {arm: [revisions.predictions(run) for run in names] for arm, names in runs.items()},
            reference,
            cast("Metric", metric),
        )
        title = f"{name}: {metric} of {seeds} seeds, test rows"
        folder = STUDIES
        with atomic_file(folder / f"{name}.csv") as path:
            pd.DataFrame(arms_rows(compared)).to_csv(path, index=False)
        with atomic_file(folder / f"{name}.svg") as path:
            path.write_text(dots_and_intervals(compared, metric, reference, title), "utf-8")
        _print(arms_table(compared, title, reference))


@app.command()
def new_data(
    file: Annotated[
        Path, typer.Argument(help="CSV or TSV (also .gz, .zip), JSON Lines or Parquet.")
    ],
    text: Annotated[str | None, typer.Option(help="Its text column; else a guess.")] = None,
    label: Annotated[str | None, typer.Option(help="Its label column; else a guess.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="The labels from lowest to highest: 'low,medium,high'.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the entry; else the file's.")] = None,
    licence: Annotated[str, typer.Option(help="Of the data.")] = "not stated",
    origin: Annotated[str, typer.Option(help="Who made the data, and how.")] = "not stated",
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="The texts were made up by a program.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
) -> None:
    """Look at a file of your own, and add it to data/catalog.yaml.

    Shows lengths, duplicates and the rows of each label, says what to worry about, and proposes
    an entry for data/catalog.yaml. Asks before it writes; without a terminal it only shows.
    """
    from ordinal.own_data.catalog_entry import add_entry, entry_yaml, name_for, refuse_name
    from ordinal.own_data.guess import order_of
    from ordinal.own_data.inspection import inspect
    from ordinal.own_data.proposal import parse_labels, propose, warnings_about

    with report_user_errors(AGAIN):
        name = name or name_for(file)
        refuse_name(name, CATALOG)
        facts = inspect(file, text, label)
        order = parse_labels(labels) if labels is not None else order_of(facts.classes)
        print("\n".join(facts_lines(facts)))
        _print(labels_table(facts.classes, order))
        lies_in, home = file.parent.resolve(), OWN.resolve()
        watched = lies_in.is_relative_to(home)
        folder = OWN / lies_in.relative_to(home) if watched else OWN
        entry = propose(facts, str(folder / file.name), order, licence, origin, synthetic)
        concerns = warnings_about(facts, entry, order_given=labels is not None)
        for concern in concerns:
            print(textwrap.fill(concern, 80, initial_indent="- ", subsequent_indent="  "))
        if not watched:
            copy = shlex.join(["cp", str(file), f"{OWN}/"])
            print(f"- The file is not in {OWN}, where DVC watches it. Copy it first:\n  {copy}")
        print(f"\nFor {CATALOG}:\n\n{entry_yaml(name, entry)}")
        if not yes and not (sys.stdin and sys.stdin.isatty()):
            print("Not written: no terminal to ask at. To write it, add --yes.", file=sys.stderr)
        elif yes or typer.confirm(f"Add it to {CATALOG}?"):
            add_entry(CATALOG, name, entry)
            print(f"Written. To train on it: dvc exp run -S data.name={name}")


TEST_TOKENS = Path("data/tokenized/test.arrow")
TRAINED = "models/ordinal"
MODEL = typer.Option(help="A model's folder, an ONNX file, or a commit, branch, tag or experiment.")


@app.command()
def predict(
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Texts; with --text a file; without any, lines from stdin."),
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Column of the texts in a CSV, TSV, JSONL or Parquet file.")
    ] = None,
    model: Annotated[str, MODEL] = TRAINED,
    out: Annotated[
        Path | None, typer.Option(help="A .csv, .jsonl or .parquet file; else CSV on stdout.")
    ] = None,
    coverage: Annotated[
        float, typer.Option(help="How often the interval shall hold the true label.")
    ] = 0.9,
    bf16: Annotated[
        bool, typer.Option("--bf16", help="Faster on a CPU that has bf16; a GPU takes it anyway.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave rows without a text empty.")
    ] = False,
) -> None:
    """Predict labels: each with its interval, and the calibrated probability of every label.

    With --bf16, a text whose label might hang on the rounding is computed once more in fp32. Its
    probabilities may differ in the second digit, and so the ends of its interval.
    """
    from ordinal import load
    from ordinal.data.tables import KINDS, kind_of
    from ordinal.prediction import streaming

    with report_user_errors(AGAIN), _model(model) as path, streaming.table_writer(out) as write:
        if text and len(texts or []) != 1:
            raise UserError("--text names the column of one file: give that file")
        if text and texts:
            source = texts[0]
            if out and out.resolve() == Path(source).resolve():
                raise UserError(f"--out {out} is the file of the texts: name another")
            pieces = streaming.texts_of_file(Path(source), text)
        elif texts:
            given = Path(texts[0])
            is_table = kind_of(given) in KINDS or given.suffix in (".gz", ".zip")
            if len(texts) == 1 and is_table and given.is_file():
                raise UserError(f"{texts[0]} is a file: name the column of its texts with --text")
            source, pieces = "arguments", iter([texts])
        elif sys.stdin is None:
            raise UserError("stdin is closed: give texts as arguments, or a file with --text")
        else:
            source, pieces = "stdin", streaming.texts_of_lines(sys.stdin.buffer)
        predictor = load(path, coverage=coverage, precision="bf16-mixed" if bf16 else "auto")
        if bf16:
            from ordinal.model.device import choose_device, slow_precision

            if slow := slow_precision("bf16-mixed", choose_device("auto")):
                print(f"predict: {slow}", file=sys.stderr)
        if texts and not text and not out and sys.stdout.isatty():
            _print(predictions_table(texts, predictor.predict(texts)))
            return
        for table in streaming.predict_rows(predictor, pieces, source, keep_going):
            write(table)


@app.command()
def serve(
    model: Annotated[str, MODEL] = TRAINED,
    coverage: Annotated[
        float, typer.Option(help="How often the interval shall hold the true label.")
    ] = 0.9,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need another.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8000,
) -> None:
    """Show a page to try the model on, with a JSON API, until Ctrl-C."""
    with report_user_errors(AGAIN), _model(model) as path:
        try:
            from ordinal import load
            from ordinal.prediction import server
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is missing: `pip install '.[serve]'` brings it"
            ) from None
        with server.listen(host, port) as listener:
            hosts = server.LOOPBACK if host in server.LOOPBACK else ["*"]
            app = server.create_app(load(path, coverage=coverage), hosts)
            shown = f"[{host}]" if ":" in host else host
            print(f"http://{shown}:{listener.getsockname()[1]}/ (Ctrl-C ends it)", flush=True)
            server.serve(app, listener)


export = typer.Typer(no_args_is_help=True, help="Write the model in another form.")
app.add_typer(export, name="export")


@export.command()
def onnx(
    model: Annotated[str, MODEL] = TRAINED,
    out: Annotated[Path, typer.Option(help="The file; tokenizer.json is put beside it.")] = Path(
        "models/onnx/ordinal.onnx"
    ),
    int8: Annotated[
        bool, typer.Option("--int8", help="Another one beside it, its matrix products in 8 bits.")
    ] = False,
) -> None:
    """Write one ONNX file, from token ids to calibrated probabilities.

    Of the run that is here, says how each form does on the test rows.
    """
    from ordinal.prediction.forms import compare_forms
    from ordinal.prediction.onnx import export_onnx, quantize_onnx
    from ordinal.tokenization.tokens import Tokens

    with report_user_errors(AGAIN), _model(model) as path:
        if out.suffix != ".onnx":
            raise UserError(f"--out {out}: the name has to end in .onnx")
        forms = {"the model": path, out.name: out}
        export_onnx(path, out)
        if int8:
            small = out.with_suffix(".int8.onnx")
            quantize_onnx(out, small)
            forms[small.name] = small
        if model == TRAINED and TEST_TOKENS.is_file():  # another model's would be other rows
            _print(forms_table(compare_forms(forms, Tokens.load(TEST_TOKENS))))


@app.command()
def push_to_hub(
    repository: Annotated[str, typer.Argument(help="OWNER/NAME; made if it does not exist.")],
    model: Annotated[
        str, typer.Option(help="models/ordinal, or a commit, branch, tag or experiment.")
    ] = TRAINED,
    private: Annotated[
        bool, typer.Option("--private", help="A new repository is seen by its owner alone.")
    ] = False,
) -> None:
    """Upload a model to the model hub, with its model card."""
    from ordinal.cards import hub
    from ordinal.experiments import revisions

    with report_user_errors(AGAIN), _model(model) as path:
        revision = revisions.WORKSPACE if Path(model) == path else model
        card = revisions.model_card(revision)
        print(hub.push_to_hub(path, card, repository, private=private))


@contextmanager
def _model(name: str) -> Iterator[Path]:
    """Where the model lies: `name` itself, or a copy, for a while, of that of a revision."""
    if Path(name).exists() or name.endswith(".onnx"):
        yield Path(name)
        return
    if name == TRAINED:
        raise UserError(f"{name} is missing: run `make repro` first, or name a model with --model")
    from ordinal.experiments.revisions import fetch_model

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        fetch_model(name, folder)
        yield folder


def _print(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
