"""Search a space of parameters: Optuna proposes, DVC's queue runs, the validation rows decide.

DVC's experiments are the only state: the study of Optuna is made from them before each proposal.
Trials are not pruned, because DVC keeps no results of a run that is stopped: the values of stopped
trials would need a state of their own.
"""

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ordinal.common.choices import Metric
from ordinal.common.errors import UserError
from ordinal.common.paths import PARAMS
from ordinal.evaluation.predictions import shared_costs
from ordinal.experiments import queue, revisions
from ordinal.experiments.overrides import SEED, overrides_of, values_in
from ordinal.experiments.space import Choice, Interval, Space, contains, size
from ordinal.experiments.variants import row_values

if TYPE_CHECKING:
    from dvc.repo import Repo
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

SEED_OF_TRIALS = 0
"""The seed of all trials. Those of a study are 1, 2, …, so that its runs are independent."""
HIGHER_IS_BETTER: tuple[Metric, ...] = ("accuracy", "off_by_one")
MOST_LOSSES = 3  # rounds of which no run has a result
MOST_PROPOSALS = 200  # of which at least one should be new, unless all values were tried


@dataclass(frozen=True)
class Search:
    """The trials of a search have names that begin with its name."""

    name: str
    space: Space
    metric: Metric


@dataclass(frozen=True)
class Trial:
    """A trial that has ended. The score is the metric of the validation rows; None if it failed."""

    name: str
    values: Mapping[str, Any]
    score: float | None


def run_search(search: Search, trials: int, jobs: int) -> list[Trial]:
    """Run trials until there are `trials`, `jobs` at a time, and return them, the best first.

    The first trial has the committed parameters, if they are in the space. Trials that this commit
    already has count, and are not repeated. No predictions or metrics of test rows are read.

    Raises:
        UserError: Optuna is missing, the queue can't work here, the working tree differs from the
            commit, or no trial succeeded.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("optuna is missing: install it with `pip install '.[search]'`")
    wanted = int(min(trials, size(search.space)))
    with queue.open_queue(jobs) as repo:
        committed = values_in(PARAMS.read_text(encoding="utf-8"))
        # The runs of an interrupted search come first, because they change what is proposed. They
        # may finish at any moment, so that the trials that ended are read after them.
        left = queue.left_runs(repo)
        names = {name for name in left if name.startswith(f"{search.name}-")}
        ended = _read_ended(repo, search, {})
        stalled = 0
        while names or (names := _enqueue(repo, search, committed, ended, wanted, jobs)):
            for _ in queue.as_finished(repo, names, jobs):
                ended = _read_ended(repo, search, ended, wanted)
                if names <= ended.keys():  # finished or failed
                    break
            # A worker of DVC that ends just as it takes a run loses the run. It is proposed again.
            stalled = 0 if names & ended.keys() else stalled + 1
            _refuse_losses(names, stalled)
            _refuse_failure(ended)
            names = set()
    _refuse_failure(ended)  # of an earlier search with the same trials
    return ranked([*ended.values()], search.metric)


def _enqueue(
    repo: "Repo",
    search: Search,
    committed: Mapping[str, Any],
    ended: Mapping[str, Trial],
    wanted: int,
    jobs: int,
) -> set[str]:
    """Queue the next trials, and return their names: none if there are enough."""
    batch = propose(search, committed, [*ended.values()], min(jobs, wanted - len(ended)))
    for values in batch:
        queue.enqueue(repo, trial_name(search, values), _overrides(values))
    return {trial_name(search, values) for values in batch}


def _refuse_losses(names: set[str], stalled: int) -> None:
    """Refuse to go on if runs were lost again and again."""
    if stalled == MOST_LOSSES:
        name = min(names)
        raise UserError(
            f"{name} ended {stalled} times without a result: see `dvc queue logs {name}`"
        )


def _refuse_failure(ended: Mapping[str, Trial]) -> None:
    """Refuse to go on if all trials failed."""
    if ended and all(trial.score is None for trial in ended.values()):
        raise UserError(
            f"no trial succeeded: see `dvc queue logs {min(ended)}` for the reason, and run the "
            "command again after `dvc queue remove --failed`"
        )


def trial_name(search: Search, values: Mapping[str, Any]) -> str:
    """Return the name of a trial's experiment, which is the same for the same values."""
    return queue.experiment_name(search.name, _overrides(values))


def _overrides(values: Mapping[str, Any]) -> list[str]:
    return overrides_of({**values, SEED: SEED_OF_TRIALS})


def ranked(trials: Sequence[Trial], metric: Metric) -> list[Trial]:
    """Return trials from the best to the worst, those that failed at the end."""
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    return sorted(trials, key=lambda trial: math.inf if trial.score is None else sign * trial.score)


def propose(
    search: Search, committed: Mapping[str, Any], ended: Sequence[Trial], count: int
) -> list[dict[str, Any]]:
    """Return up to `count` new combinations of values, the same for the same trials that ended.

    Args:
        search: the search.
        committed: the values of params.yaml, which are the first trial if the space has them.
        ended: the trials so far.
        count: number of combinations; fewer are returned if nearly all were tried.
    """
    if count <= 0:
        return []
    domains = {name: _distribution(domain) for name, domain in search.space.items()}
    study = _study_of(search, domains, ended)
    tried = {trial.name for trial in ended}
    values = {name: committed[name] for name in search.space}
    batch: list[dict[str, Any]] = []
    for _ in range(MOST_PROPOSALS):
        if contains(search.space, values) and trial_name(search, values) not in tried:
            tried.add(trial_name(search, values))
            batch.append(values)
        if len(batch) == count:
            break
        values = _decoded(search.space, study.ask(domains).params)
    return batch


def _study_of(
    search: Search, domains: "dict[str, BaseDistribution]", ended: Sequence[Trial]
) -> "Study":
    """Return Optuna's study of the trials that ended, in an order that is always the same."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if search.metric in HIGHER_IS_BETTER else "minimize",
        sampler=optuna.samplers.TPESampler(seed=len(ended)),
    )
    for trial in sorted(ended, key=lambda trial: trial.name):
        state = TrialState.FAIL if trial.score is None else TrialState.COMPLETE
        params = _encoded(search.space, trial.values)
        study.add_trial(
            create_trial(state=state, params=params, distributions=domains, value=trial.score)
        )
    return study


def _distribution(domain: Interval | Choice) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice):  # by number, because a value may be a list
        return CategoricalDistribution(range(len(domain.values)))
    if domain.whole:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def _encoded(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: domain.values.index(values[name]) if isinstance(domain, Choice) else values[name]
        for name, domain in space.items()
    }


def _decoded(space: Space, params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: domain.values[params[name]]
        if isinstance(domain, Choice)
        else domain.rounded(params[name])
        for name, domain in space.items()
    }


def _read_ended(
    repo: "Repo", search: Search, known: Mapping[str, Trial], wanted: int | None = None
) -> dict[str, Trial]:
    """Return the trials that ended, and print those that are not `known`, if `wanted` is given."""
    finished, failed = queue.finished_runs(repo), queue.failed_runs(repo)
    ended = dict(known)
    for name, commit in {**failed, **finished}.items():
        if name in known or not name.startswith(f"{search.name}-"):
            continue
        parameters = values_in(revisions.parameters(commit))
        values = {parameter: parameters[parameter] for parameter in search.space}
        # Experiments of a study, or of a search of other parameters, may have a similar name.
        if contains(search.space, values) and trial_name(search, values) == name:
            score = score_of(name, search.metric) if name in finished else None
            ended[name] = Trial(name, values, score)
            if wanted:
                result = "failed" if score is None else f"{search.metric} {score:.4f}"
                print(f"search: {len(ended)} of {wanted}: {name}, {result}", flush=True)
    return ended


def score_of(experiment: str, metric: Metric) -> float:
    """Return the metric of an experiment's validation rows."""
    table = revisions.predictions(experiment, "validation")
    return float(row_values(table, metric, shared_costs([table])).mean())
