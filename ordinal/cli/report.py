"""`ordinal report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import RUN_AGAIN, write_page
from ordinal.common.errors import report_user_errors
from ordinal.common.paths import MODEL

if TYPE_CHECKING:
    from ordinal.prediction.explanation import Explainer


def report(
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("report.html"),
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the words that moved 100 predictions. Slow.")
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with the run of a commit, branch, tag or experiment."),
    ] = None,
) -> None:
    """Write a report of the finished run as one self-contained web page."""
    from ordinal.reporting.against import read_other_run
    from ordinal.reporting.report import report as page
    from ordinal.reporting.run import read_run

    with report_user_errors(RUN_AGAIN):
        run = read_run(Path())
        other = read_other_run(against) if against is not None else None
        text = page(run, _explainer() if explain else None, other)
        write_page(text, out)
        print(f"report: {out}")


def _explainer() -> "Explainer":
    from ordinal.prediction.explanation import load_explainer

    return load_explainer(MODEL)
