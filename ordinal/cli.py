"""The command line, for what is no stage of the pipeline."""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from ordinal.errors import UserError, report_user_errors
from ordinal.files import read_json
from ordinal.summary import comparison_markdown, comparison_table, results_table

WORKSPACE = "workspace"
PREDICTIONS = "data/predictions/test.parquet"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def ordinal() -> None:
    """Ordinal regression with fine-tuned transformers."""


@app.command()
def results(
    project: Annotated[Path, typer.Argument(help="The project's root.")] = Path(),
) -> None:
    """Show the model beside the baselines, on the test rows."""
    with report_user_errors():
        try:
            metrics = read_json(project / "metrics/metrics.json")
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is missing: run `make repro` first") from None
        _print(results_table(metrics))


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A commit, branch, tag or experiment.")],
    second: Annotated[str, typer.Argument(help="Another one.")] = WORKSPACE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Draws behind each figure.")] = 1000,
) -> None:
    """Test two runs against each other, on the same test rows.

    Gives each metric of both, the difference with its paired 95 % bootstrap interval, and the
    p-value of a paired permutation test.
    """
    from ordinal.comparison import compare as compare_predictions

    with report_user_errors():
        differences = compare_predictions(_predictions(first), _predictions(second), resamples)
        if as_json:
            rows = {name: asdict(figures) for name, figures in differences.items()}
            # NaN, of a metric that is not defined, is no JSON.
            print(json.dumps(json.loads(pd.DataFrame(rows).to_json()), indent=2))
        elif as_markdown:
            print(comparison_markdown(first, second, differences))
        else:
            _print(comparison_table(first, second, differences))


def _predictions(revision: str) -> pd.DataFrame:
    """What a run said of the test rows: from the working tree, or from DVC's cache or remote."""
    if revision == WORKSPACE:
        try:
            return pd.read_parquet(PREDICTIONS)
        except FileNotFoundError:
            raise UserError(f"{PREDICTIONS} is missing: run `make repro` first") from None
    import dvc.api
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    try:
        content = dvc.api.read(PREDICTIONS, repo=".", rev=revision, mode="rb")
    except (DvcException, SCMError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"the predictions of '{revision}' can't be read ({reason}): "
            "is it a commit, branch, tag or experiment, and its data here or in a remote?"
        ) from None
    return pd.read_parquet(io.BytesIO(content))


def _print(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
