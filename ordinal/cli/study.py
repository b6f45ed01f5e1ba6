"""`ordinal study`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import print_table
from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file
from ordinal.common.paths import STUDY_RESULTS

if TYPE_CHECKING:
    from ordinal.experiments.study import Study
    from ordinal.experiments.variants import Variant


def study(
    file: Annotated[Path, typer.Argument(help="The study, such as studies/losses.yaml.")],
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs per variant, with seeds 1, 2, …; `seeds` of the file if not given."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of runs at the same time.")] = 1,
) -> None:
    """Train several variants with several seeds each, and compare them with one of them.

    The runs are DVC experiments of the current commit, run through DVC's queue. If a study is
    interrupted, the same command continues it. The table is printed, and written together with a
    chart to metrics/studies/NAME.csv and NAME.svg, where NAME is the file's name.
    """
    from ordinal.experiments import queue, revisions
    from ordinal.experiments.study import load_study
    from ordinal.experiments.variants import compare_variants
    from ordinal.reporting.comparisons import variants_table

    with report_user_errors():
        definition = load_study(file)
        queue.refuse_untracked(definition.files)
        seeds = seeds or definition.seeds
        runs = queue.run_variants(definition.variants, seeds, jobs)
        variants = compare_variants(
            {name: [*map(revisions.predictions, of_variant)] for name, of_variant in runs.items()},
            definition.reference,
            definition.metric,
        )
        title = f"{definition.name}: {definition.metric} of {seeds} seeds, test rows"
        _write(definition, variants, title)
        print_table(variants_table(variants, title, definition.reference))


def _write(definition: "Study", variants: "list[Variant]", title: str) -> None:
    import pandas as pd

    from ordinal.reporting.charts import dots_and_intervals
    from ordinal.reporting.comparisons import variants_rows

    chart = dots_and_intervals(variants, definition.metric, definition.reference, title)
    with atomic_file(STUDY_RESULTS / f"{definition.name}.csv") as path:
        pd.DataFrame(variants_rows(variants)).to_csv(path, index=False)
    with atomic_file(STUDY_RESULTS / f"{definition.name}.svg") as path:
        path.write_text(chart, encoding="utf-8")
