"""`ordinal compare`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ordinal.cli.options import RUN_AGAIN, print_table
from ordinal.common.errors import report_user_errors
from ordinal.common.files import for_json


def compare(
    first: Annotated[str, typer.Argument(help="A commit, branch, tag or experiment.")],
    second: Annotated[
        str, typer.Argument(help="Another one; 'workspace' is the working tree.")
    ] = "workspace",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    resamples: Annotated[
        int, typer.Option(min=100, help="Resamples per interval and per p-value.")
    ] = 1000,
) -> None:
    """Test whether two runs differ significantly on the same test rows.

    Shows each metric of both runs, the difference with its paired 95 % bootstrap interval, and the
    p-value of a paired permutation test.
    """
    from ordinal.experiments.comparison import compare as compare_predictions
    from ordinal.experiments.revisions import predictions
    from ordinal.reporting.comparisons import comparison_markdown, comparison_table

    with report_user_errors(RUN_AGAIN):
        differences = compare_predictions(predictions(first), predictions(second), resamples)
        if as_json:
            rows = {name: for_json(asdict(figures)) for name, figures in differences.items()}
            print(json.dumps(rows, indent=2))
        elif as_markdown:
            print(comparison_markdown(first, second, differences))
        else:
            print_table(comparison_table(first, second, differences))
