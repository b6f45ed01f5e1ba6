"""Precision of each score of `ordinal audit` in finding the wrong labels of the demo.

The demo is generated again, since it knows which labels it moved. The distributions come from the
saved runs of `ordinal audit --seeds 3` (--runs), or the folds are trained here. A second table
judges the same distributions by labels that were moved in other ways. --apply compares the error of
a model before and after the true corrections of its training and validation labels.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import average_precision_score
from transformers.utils import logging

from ordinal.common.folds import Fold
from ordinal.common.params import Split, Tokenize, Train
from ordinal.common.paths import PRETRAINED
from ordinal.common.types import Floats, Labels, Probabilities, Rows
from ordinal.data.demo import GRADES, demo_reviews
from ordinal.data.folds import shuffle_fold
from ordinal.data.split import shuffle_split
from ordinal.distributions.calibration import apply_temperature, calibrate
from ordinal.distributions.decoding import decode
from ordinal.evaluation.label_errors import SCORES, Share, wrong_share
from ordinal.evaluation.predictions import predictions_table
from ordinal.experiments.audit import OutOfFold, fold_name, out_of_fold
from ordinal.experiments.results import read_runs, write_runs
from ordinal.model.classifier import new_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.tokenization.tokenizer import load_tokenizer
from ordinal.tokenization.tokens import Tokens, tokenize
from ordinal.training.fine_tuning import fit

NAMES = [str(grade + 1) for grade in range(GRADES)]
DISTANCE = "distance from suggestion"
# Ways to move true labels, unlike the demo's, which are moved by one.
MOVES: dict[str, Callable[[Labels, np.random.Generator], Labels]] = {
    "to another label at random": lambda true, rng: (
        (true + rng.integers(1, GRADES, len(true))) % GRADES
    ),
    "by two": lambda true, rng: np.where(true < GRADES // 2, true + 2, true - 2),
    "to the other end": lambda true, rng: GRADES - 1 - true,
}


class Corpus(NamedTuple):
    """The first rows of the demo: texts, given labels, and labels before the noise."""

    texts: list[str]
    given: Labels
    true: Labels


class Figures(NamedTuple):
    """Figures of a score. With k wrong labels among the first k, precision is recall."""

    at_k: float
    """Precision and recall among the first k rows, of k wrong labels in all."""
    at_half_k: float
    """Precision among the first k/2 rows."""
    recall_at_2k: float
    average_precision: float


def corpus(rows: int | None = None) -> Corpus:
    reviews = demo_reviews()[:rows]
    given, true = (
        np.array([getattr(review, name) - 1 for review in reviews])
        for name in ("stars", "clean_stars")
    )
    return Corpus([review.text for review in reviews], given, true)


def hits(scores: Floats, wrong: Labels, first: int) -> float:
    """Return the expected number of wrong labels among the `first` rows; ties are at random."""
    if first == 0:
        return 0.0
    bound = np.sort(scores)[-first]
    above, tied = scores > bound, scores == bound
    return float(wrong[above].sum() + wrong[tied].mean() * (first - above.sum()))


def figures(scores: Floats, wrong: Labels) -> Figures:
    count = int(wrong.sum())
    half = max(1, count // 2)
    twice = min(2 * count, len(wrong))
    return Figures(
        hits(scores, wrong, count) / count,
        hits(scores, wrong, half) / half,
        hits(scores, wrong, twice) / count,
        float(average_precision_score(wrong, scores)),
    )


def by_score(labels: Labels, true: Labels, probabilities: Probabilities) -> dict[str, Figures]:
    """Return the figures of each score in finding the labels that are not the true ones."""
    wrong = (labels != true).astype(np.int64)
    scores = {name: score(labels, probabilities) for name, score in SCORES.items()}
    suggested = decode(probabilities, Train.load().decode)
    scores[DISTANCE] = np.abs(labels - suggested).astype(np.float64)
    return {name: figures(values, wrong) for name, values in scores.items()}


def moved(true: Labels, share: float, way: str, seed: int) -> Labels:
    """Return the true labels, of which a share was moved in one of the ways of `MOVES`."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(true)) < share, MOVES[way](true, rng), true)


def share_of(found: OutOfFold) -> Share:
    suggested = decode(found.probabilities, Train.load().decode)
    return wrong_share(found.labels, suggested, found.probabilities)


def saved_runs(path: Path) -> dict[int, dict[str, list[pd.DataFrame]]]:
    """Return the tables of an audit's runs by seed and fold."""
    folds = pd.read_parquet(path, columns=["variant"])["variant"].unique()
    runs = read_runs(path, folds)
    seeds = range(len(runs[folds[0]]))
    return {seed + 1: {fold: [runs[fold][seed]] for fold in folds} for seed in seeds}


def tokens_of(data: Corpus, labels: Labels) -> Tokens:
    params = Tokenize.load()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "reviews.parquet", Path(folder) / "tokens.arrow"
        pq.write_table(
            pa.table({"text": data.texts, "label": pa.array(labels, pa.int32())}), source
        )
        tokenize(source, load_tokenizer(PRETRAINED, params.max_length), target, params.truncation)
        return take(Tokens.load(target), np.arange(len(labels)))


def take(tokens: Tokens, rows: Rows) -> Tokens:
    """Return some rows, in memory."""
    ids = [tokens.ids[tokens.offsets[row] : tokens.offsets[row + 1]] for row in rows]
    taken = Tokens.of(ids)
    return Tokens(taken.ids, taken.offsets, tokens.labels[rows])


def predict_test(tokens: Tokens, parts: Rows, recipe: Train) -> tuple[Rows, Probabilities]:
    """Train on a split as the train stage does; return the test rows and their distributions."""
    rows = [np.flatnonzero(parts == part) for part in range(3)]
    train, validation, test = (take(tokens, of_part) for of_part in rows)
    model = new_classifier(
        PRETRAINED, NAMES, recipe.loss, recipe.decode, recipe.seed, recipe.attention_dropout
    )
    fit(model, train, validation, recipe)
    network = torch_network(model, recipe.accelerator, recipe.precision)
    found = calibrate(validation.labels, predict_probabilities(network, validation, "calibrate"))
    distributions = predict_probabilities(network, test, "test")
    return rows[2], apply_temperature(distributions, found.temperature)


def trained_folds(data: Corpus, folds: int, recipe: Train) -> dict[str, list[pd.DataFrame]]:
    tokens, split = tokens_of(data, data.given), Split.load()
    train = split.train / (split.train + split.validation)
    tables = {}
    for number in range(1, folds + 1):
        fold = Fold(number, folds)
        parts = shuffle_fold(len(tokens), fold, train, split.seed)
        rows, probabilities = predict_test(tokens, parts, recipe)
        none = np.zeros(len(rows), np.int64)
        predicted = decode(probabilities, recipe.decode)
        arrays = rows, data.given[rows], predicted, (none, none), probabilities, NAMES
        tables[fold_name(fold)] = [predictions_table(*arrays)]
    return tables


def apply_lines(data: Corpus, recipe: Train) -> Iterator[str]:
    """Yield a table of the MAE on the test rows: with the given labels, and after corrections."""
    split = Split.load()
    parts = shuffle_split(len(data.texts), (split.train, split.validation, split.test), split.seed)
    yield "| training and validation labels | MAE, given test labels | MAE, true test labels |"
    yield "|---|---|---|"
    for name, labels in {"given": data.given, "corrected": data.true}.items():
        rows, probabilities = predict_test(tokens_of(data, labels), parts, recipe)
        predicted = decode(probabilities, recipe.decode)
        errors = [np.abs(predicted - truth[rows]).mean() for truth in (data.given, data.true)]
        yield f"| {name} | {errors[0]:.4f} | {errors[1]:.4f} |"


def table_lines(measured: Sequence[dict[str, Figures]]) -> Iterator[str]:
    """Yield a Markdown table: the mean of each figure, with its range over the seeds."""
    headings = "precision = recall at k | precision at k/2 | recall at 2k | average precision"
    yield f"| score | {headings} |"
    yield "|---|---|---|---|---|"
    for name in measured[0]:
        columns = zip(*(figures_of[name] for figures_of in measured), strict=True)
        cells = [f"{np.mean(c):.3f} ({min(c):.3f} to {max(c):.3f})" for c in columns]
        yield f"| {name} | {' | '.join(cells)} |"


def move_lines(found: dict[int, OutOfFold], true: Labels, share: float) -> Iterator[str]:
    """Yield a Markdown table: the mean precision at k of each score, for each way of `MOVES`."""
    columns = {
        way: [
            by_score(moved(true[of.rows], share, way, seed), true[of.rows], of.probabilities)
            for seed, of in found.items()
        ]
        for way in MOVES
    }
    yield f"| score | moved {' | '.join(MOVES)} |"
    yield "|---|---|---|---|"
    for name in (*SCORES, DISTANCE):
        means = [np.mean([one[name].at_k for one in column]) for column in columns.values()]
        yield f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, help="metrics/audit/folds.parquet, instead of training"
    )
    parser.add_argument("--save", type=Path, help="write the runs of the folds to this file")
    parser.add_argument("--apply", action="store_true", help="retrain with the true labels instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="use the first rows of the demo only")
    parser.add_argument("--epochs", type=int, help="instead of train.epochs")
    chosen = parser.parse_args(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    changes = {"epochs": chosen.epochs} if chosen.epochs else {}
    recipes = [
        Train.load().model_copy(update={"seed": seed} | changes)
        for seed in range(1, chosen.seeds + 1)
    ]
    data = corpus(chosen.rows)
    if chosen.apply:
        for recipe in recipes:
            print(f"seed {recipe.seed}")
            print(*apply_lines(data, recipe), sep="\n", flush=True)
        return
    if chosen.runs:
        runs = dict(list(saved_runs(chosen.runs).items())[: chosen.seeds])
    else:
        runs = {recipe.seed: trained_folds(data, chosen.folds, recipe) for recipe in recipes}
    if chosen.save:
        by_fold = {
            fold: [runs[seed][fold][0] for seed in runs] for fold in next(iter(runs.values()))
        }
        write_runs(by_fold, chosen.save)
    found = {seed: out_of_fold(of_seed) for seed, of_seed in runs.items()}
    wrong = data.given != data.true
    print(f"k = {wrong.sum()} of {len(wrong)} labels are wrong ({wrong.mean():.1%})")
    measured = [by_score(of.labels, data.true[of.rows], of.probabilities) for of in found.values()]
    print(*table_lines(measured), *move_lines(found, data.true, wrong.mean()), sep="\n")
    for seed, of_seed in found.items():
        share = share_of(of_seed)
        interval = f"95 % interval {share.low:.1%} to {share.high:.1%}"
        print(f"estimated share with seed {seed}: {share.estimate:.1%} ({interval})")


if __name__ == "__main__":
    main()
