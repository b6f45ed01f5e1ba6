"""`ordinal results`."""

from pathlib import Path
from typing import Annotated

import typer

from ordinal.cli.options import RUN_AGAIN, print_table
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import read_json
from ordinal.common.paths import DETAILS


def results(
    project: Annotated[Path, typer.Argument(help="Root of the project.")] = Path(),
) -> None:
    """Compare the model with the baselines, on the test rows."""
    from ordinal.reporting.terminal import results_table, warning_lines

    with report_user_errors(RUN_AGAIN):
        if project.is_file():
            raise UserError(f"{project} is a file: name the root of a project")
        try:
            details = read_json(project / DETAILS)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is missing: run `make repro` first") from None
        print_table(results_table(details))
        for line in warning_lines(details):
            print(line)
