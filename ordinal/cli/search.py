"""`ordinal search`."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import print_table
from ordinal.common.choices import Metric
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.files import atomic_file
from ordinal.common.paths import SEARCH_RESULTS, STUDIES

if TYPE_CHECKING:
    from ordinal.experiments.search import Search, Trial

WRITTEN = "# Written by `ordinal search`."
SHOWN = 20  # trials in the printed table


def search(
    name: Annotated[str, typer.Argument(help="Name of the search: letters, digits and -.")],
    ranges: Annotated[
        list[str],
        typer.Option(
            "--range", help="'train.lr=1e-5..1e-3 log', train.epochs=2..6 or train.loss=corn,emd."
        ),
    ],
    trials: Annotated[int, typer.Option(min=1, help="Number of trials, with earlier ones.")] = 20,
    metric: Annotated[Metric, typer.Option(help="Metric of the validation rows.")] = "rps",
    jobs: Annotated[int, typer.Option(min=1, help="Number of trials at the same time.")] = 1,
) -> None:
    """Search for better parameters, judged on the validation rows.

    Optuna proposes values within the ranges, and each trial is a DVC experiment of the current
    commit. If a search is interrupted, the same command continues it. The table of all trials and
    a chart are written to metrics/searches/NAME.csv and NAME.svg. A study that compares the best
    trial with the committed parameters on the test rows is written to studies/NAME.yaml.
    """
    from ordinal.experiments.search import Search, run_search
    from ordinal.experiments.space import parse_space
    from ordinal.reporting.comparisons import trials_table

    with report_user_errors():
        _refuse_name(name)
        definition = Search(name, parse_space(ranges), metric)
        _refuse_untracked(definition)
        ended = run_search(definition, trials, jobs)
        title = f"{name}: {metric} of {len(ended)} trials, validation rows"
        _write(definition, ended, title)
        print_table(trials_table(ended[:SHOWN], metric, title))
        _offer(definition, ended[0])


def _refuse_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name):
        raise UserError(f"{name} can't be the name of a search: use letters, digits and -")
    path = STUDIES / f"{name}.yaml"
    if path.is_file() and not path.read_text(encoding="utf-8").startswith(WRITTEN):
        raise UserError(f"{path} is a study that no search wrote: choose another name")


def _refuse_untracked(search: "Search") -> None:
    """Refuse local files that runs in DVC's queue would not have."""
    from ordinal.common.params import Data, Model
    from ordinal.experiments.queue import refuse_untracked
    from ordinal.experiments.space import Choice
    from ordinal.experiments.study import local_files

    domain = search.space.get("model.name")
    encoders = domain.values if isinstance(domain, Choice) else (Model.load().name,)
    data = Data.load().name
    refuse_untracked({path for encoder in encoders for path in local_files(data, encoder)})


def _write(search: "Search", trials: "list[Trial]", title: str) -> None:
    import pandas as pd

    from ordinal.experiments.space import Interval
    from ordinal.reporting.charts import trials_chart
    from ordinal.reporting.comparisons import trials_rows

    logarithmic = {
        name for name, domain in search.space.items() if isinstance(domain, Interval) and domain.log
    }
    with atomic_file(SEARCH_RESULTS / f"{search.name}.csv") as path:
        pd.DataFrame(trials_rows(trials, search.metric)).to_csv(path, index=False)
    scored = [trial for trial in trials if trial.score is not None]
    with atomic_file(SEARCH_RESULTS / f"{search.name}.svg") as path:
        path.write_text(trials_chart(scored, search.metric, logarithmic, title), encoding="utf-8")


def _offer(search: "Search", best: "Trial") -> None:
    """Print what to do with the best trial, and write the study that tests it."""
    import yaml

    from ordinal.common.paths import PARAMS
    from ordinal.experiments.overrides import values_in

    committed = values_in(PARAMS.read_text(encoding="utf-8"))
    if all(committed[name] == value for name, value in best.values.items()):
        print("The committed parameters are the best.")
        (STUDIES / f"{search.name}.yaml").unlink(missing_ok=True)  # of an earlier search
        return
    study = {
        "description": f"Is {best.name}, the best trial of a search, better on the test rows?",
        "metric": search.metric,
        "reference": "committed",
        "variants": {"committed": {}, "best": dict(best.values)},
    }
    file = STUDIES / f"{search.name}.yaml"
    with atomic_file(file) as path:
        text = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
        path.write_text(f"{WRITTEN}\n{text}", encoding="utf-8")
    print(f"To use the best one: dvc exp apply {best.name}")
    print(f"To test it on the test rows, with other seeds: ordinal study {file}")
