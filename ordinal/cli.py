"""The command line, for what is no stage of the pipeline."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from ordinal.errors import UserError, report_user_errors
from ordinal.files import for_json, read_json, whole_file
from ordinal.summary import (
    arms_rows,
    arms_table,
    comparison_markdown,
    comparison_table,
    results_table,
)

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
    second: Annotated[str, typer.Argument(help="Another one.")] = "workspace",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print a Markdown table.")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Draws behind each figure.")] = 1000,
) -> None:
    """Test two runs against each other, on the same test rows.

    Gives each metric of both, the difference with its paired 95 % bootstrap interval, and the
    p-value of a paired permutation test.
    """
    from ordinal.comparison import compare as compare_predictions
    from ordinal.experiments import predictions

    with report_user_errors():
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

    from ordinal import experiments
    from ordinal.pictures import dots_and_intervals
    from ordinal.study import Metric, compare_arms

    with report_user_errors():
        if metric not in get_args(Metric):
            raise UserError(f"--metric {metric} is not one of {', '.join(get_args(Metric))}")
        arms = experiments.arms_of(arm, overrides)
        reference = reference or next(iter(arms))
        if reference not in arms:
            raise UserError(f"there is no arm '{reference}': there is {', '.join(arms)}")
        runs = experiments.run_study(arms, seeds, jobs)
        compared = compare_arms(
            {arm: [experiments.predictions(run) for run in names] for arm, names in runs.items()},
            reference,
            cast("Metric", metric),
        )
        title = f"{name}: {metric} of {seeds} seeds, test rows"
        folder = Path(experiments.STUDIES)
        with whole_file(folder / f"{name}.csv") as path:
            pd.DataFrame(arms_rows(compared)).to_csv(path, index=False)
        with whole_file(folder / f"{name}.svg") as path:
            path.write_text(dots_and_intervals(compared, metric, reference, title), "utf-8")
        _print(arms_table(compared, title, reference))


def _print(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
