"""`ordinal study`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import print_table
from ordinal.common.choices import Metric
from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_file
from ordinal.common.paths import STUDY_RESULTS

if TYPE_CHECKING:
    import pandas as pd

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
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Compare the runs of this file instead, metrics/studies/NAME.parquet. With "
            "--seeds, the table is printed only.",
        ),
    ] = None,
    metric: Annotated[
        Metric | None, typer.Option(help="What to print; `metric` of the study if not given.")
    ] = None,
) -> None:
    """Train several variants with several seeds each, and compare them with one of them.

    The runs are DVC experiments of the current commit, run through DVC's queue. If a study is
    interrupted, the same command continues it. The table is printed, and written together with a
    chart and the predictions of all runs to metrics/studies/NAME.csv, NAME.svg and NAME.parquet,
    where NAME is the file's name.
    """
    from ordinal.experiments.results import read_runs
    from ordinal.experiments.study import load_study
    from ordinal.experiments.variants import compare_variants
    from ordinal.reporting.comparisons import variants_table

    with report_user_errors():
        definition = load_study(file)
        if source:
            runs = read_runs(source, definition.variants, seeds)
        else:
            runs = _train(definition, seeds or definition.seeds, jobs)
        variants = compare_variants(runs, definition.reference, definition.metric)
        if not (source and seeds):  # the files are those of all runs
            _write(definition, variants, _title(definition.name, definition.metric, variants))
        if metric and metric != definition.metric:
            variants = compare_variants(runs, definition.reference, metric)
        title = _title(definition.name, metric or definition.metric, variants)
        print_table(variants_table(variants, title, definition.reference))


def _train(definition: "Study", seeds: int, jobs: int) -> "dict[str, list[pd.DataFrame]]":
    """Train all variants; return and write their predictions."""
    from ordinal.experiments import queue, revisions
    from ordinal.experiments.results import write_runs

    queue.refuse_untracked(definition.files)
    names = queue.run_variants(definition.variants, seeds, jobs)
    runs = {
        variant: [*map(revisions.predictions, of_variant)] for variant, of_variant in names.items()
    }
    with atomic_file(STUDY_RESULTS / f"{definition.name}.parquet") as path:
        write_runs(runs, path)
    return runs


def _title(study: str, metric: str, variants: "list[Variant]") -> str:
    return f"{study}: {metric} of {len(variants[0].values)} seeds, test rows"


def _write(definition: "Study", variants: "list[Variant]", title: str) -> None:
    import pandas as pd

    from ordinal.reporting.charts import dots_and_intervals
    from ordinal.reporting.comparisons import variants_rows

    chart = dots_and_intervals(variants, definition.metric, definition.reference, title)
    with atomic_file(STUDY_RESULTS / f"{definition.name}.csv") as path:
        pd.DataFrame(variants_rows(variants)).to_csv(path, index=False)
    with atomic_file(STUDY_RESULTS / f"{definition.name}.svg") as path:
        path.write_text(chart, encoding="utf-8")
