"""The command line, for what is no stage of the pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from ordinal.errors import UserError, report_user_errors
from ordinal.files import read_json
from ordinal.summary import results_table

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def ordinal() -> None:
    """Ordinal regression with fine-tuned transformers."""


@app.command()
def results(
    project: Annotated[Path, typer.Argument(help="The project's root.")] = Path(),
) -> None:
    """Show the model beside the baselines, on the test rows."""
    from rich.console import Console

    with report_user_errors():
        try:
            facts = read_json(project / "data/raw/facts.json")
            metrics = read_json(project / "metrics/metrics.json")
            baselines = read_json(project / "metrics/baseline.json")
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is missing: run `make repro` first") from None
        Console().print(results_table(facts, metrics, baselines))
