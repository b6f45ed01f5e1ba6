"""Proposals of `ordinal search` against random ones, with equal budgets, on tiny synthetic data.

In each repetition, a tiny encoder with random weights is trained on other texts. Both sides begin
with the same default parameters. The result is the lowest RPS of the validation rows so far.
"""

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BertConfig, BertModel, set_seed
from transformers.utils import logging

from benchmarks.corpora import CLASSES, LABELS
from ordinal.common.params import Train
from ordinal.evaluation.metrics import ranked_probability_score
from ordinal.experiments.search import Search, Trial, propose, trial_name
from ordinal.experiments.space import Interval, parse_space
from ordinal.model.classifier import new_classifier, torch_network
from ordinal.model.inference import predict_probabilities
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit

RANGES = (
    "train.lr=1e-5..1e-1 log",
    "train.loss=corn,emd,cross_entropy",
    "train.batch_size=4..64 log",
    "train.weight_decay=1e-4..1 log",
)
WORDS = 200
FIRST_WORD = 10  # after the special tokens and a word per label
ROWS = {"train": 300, "validation": 200}

Values = dict[str, Any]
Proposer = Callable[[Sequence[Trial]], Values]


def texts(rows: int, rng: np.random.Generator) -> Tokens:
    """Texts of 4 to 20 words. A word in five names the label or a neighbour of it."""
    labels = rng.integers(CLASSES, size=rows)
    ids = []
    for label in labels:
        words = rng.integers(FIRST_WORD, WORDS, size=rng.integers(4, 21))
        near = np.clip(label + rng.integers(-1, 2, size=len(words)), 0, CLASSES - 1)
        ids.append([2, *np.where(rng.random(len(words)) < 0.2, 4 + near, words), 3])
    tokens = Tokens.of(ids)
    tokens.labels[:] = labels
    return tokens


def validation_rps(encoder: Path, data: Mapping[str, Tokens], values: Values) -> float:
    """Train with these parameters, and return the mean RPS of the validation rows."""
    changes = {name.removeprefix("train."): value for name, value in values.items()}
    recipe = Train(epochs=2, seed=0, accelerator="cpu", **changes)
    model = new_classifier(encoder, LABELS, recipe.loss, seed=recipe.seed)
    with contextlib.redirect_stdout(io.StringIO()):
        fit(model, data["train"], data["validation"], recipe)
    network = torch_network(model, "cpu", "32-true")
    probabilities = predict_probabilities(network, data["validation"])
    return float(ranked_probability_score(data["validation"].labels, probabilities).mean())


def best_so_far(search: Search, trials: int, propose_next: Proposer, score: Any) -> list[float]:
    """Run trials one after the other, and return the lowest score after each."""
    ended: list[Trial] = []
    while len(ended) < trials:
        values = propose_next(ended)
        ended.append(Trial(trial_name(search, values), values, score(values)))
    scores = [trial.score for trial in ended if trial.score is not None]
    best: list[float] = np.minimum.accumulate(scores).tolist()
    return best


def random_values(search: Search, rng: np.random.Generator) -> Values:
    values: Values = {}
    for name, domain in search.space.items():
        if isinstance(domain, Interval):
            low, high = np.log(domain.low), np.log(domain.high)  # all intervals are logarithmic
            values[name] = domain.rounded(float(np.exp(rng.uniform(low, high))))
        else:
            values[name] = domain.values[rng.integers(len(domain.values))]
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--repetitions", type=int, default=5)
    chosen = parser.parse_args(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    search = Search("search", parse_space(RANGES), "rps")
    default = {name: getattr(Train(), name.removeprefix("train.")) for name in search.space}
    results = []
    for repetition in range(chosen.repetitions):
        rng = np.random.default_rng(repetition)
        data = {part: texts(rows, rng) for part, rows in ROWS.items()}
        with tempfile.TemporaryDirectory() as folder:
            encoder = Path(folder)
            _save_encoder(encoder, repetition)

            def score(values: Values, encoder: Path = encoder, data: Any = data) -> float:
                return validation_rps(encoder, data, values)

            ours = best_so_far(
                search, chosen.trials, lambda ended: propose(search, default, ended, 1)[0], score
            )
            others = best_so_far(
                search,
                chosen.trials,
                lambda ended, rng=rng: random_values(search, rng) if ended else default,
                score,
            )
        results.append((ours, others))
        print(
            f"repetition {repetition + 1}: search {ours[-1]:.4f}, random {others[-1]:.4f}",
            flush=True,
        )
    for trials in sorted({min(12, chosen.trials), chosen.trials}):
        ours, others = (np.array([one[side][trials - 1] for one in results]) for side in (0, 1))
        print(
            f"after {trials} trials: mean of the lowest RPS {ours.mean():.4f} with the search, "
            f"{others.mean():.4f} at random; the search is better in {(ours < others).sum()} of "
            f"{len(results)} repetitions, and worse in {(ours > others).sum()}"
        )


def _save_encoder(folder: Path, seed: int) -> None:
    set_seed(seed)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)


if __name__ == "__main__":
    main()
