"""Predict new rows and held-out rows with one model, and collect what is compared of both."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tqdm import tqdm

from ordinal.common.errors import UserError
from ordinal.common.formats import Format
from ordinal.common.paths import TOKENIZED
from ordinal.common.types import Floats, Labels
from ordinal.data.label_reader import LabelReader
from ordinal.data.rows import lacks_label, unreadable
from ordinal.distributions.conformal import nonconformity_scores
from ordinal.distributions.decoding import decode
from ordinal.evaluation.drift import MIN_ROWS, Sample
from ordinal.prediction.inputs import ROWS_PER_CHUNK, rows_of_file
from ordinal.prediction.predictor import Predictor
from ordinal.tokenization.tokenizer import read_literally
from ordinal.tokenization.tokens import Tokens

HELD_OUT = TOKENIZED / "validation.arrow"
NO_LABEL = -1
SAME_SCORES = 0.01  # mean difference of the scores of one model on two devices, at most
DIGITS = 3  # of shares of unknown tokens, so that there are at most 1,001 different ones


def sample_of_table(
    predictor: Predictor,
    path: Path,
    columns: Sequence[str],
    label: str | None,
    fixed: Format | None = None,
) -> Sample:
    """Predict a table.

    Args:
        predictor: the model.
        path: the table.
        columns: its text columns.
        label: its label column. Rows may lack their label.
        fixed: fields of its format; the others are detected.

    Raises:
        UserError: the table can't be read, lacks a column, has a row without usable text or with an
            unknown label, or has fewer than `MIN_ROWS` rows, or fewer with a label.
    """
    sample = _sample(predictor, _tokens_of_table(predictor, path, columns, label, fixed), path)
    if label is not None:
        _refuse_few(len(sample.errors), "rows with a label", path)
    return sample


def sample_of_run(predictor: Predictor) -> Sample:
    """Predict the validation rows of this project's run, which were not trained on.

    They are predicted again, and not read from the run's predictions, because the model may be an
    exported form, whose probabilities differ slightly.

    Raises:
        UserError: there are no such rows, they are too few, or not those that calibrated the model.
    """
    instead = "name a file of held-out rows with --reference"
    if not HELD_OUT.is_file():
        raise UserError(
            f"{HELD_OUT} is missing: run this in the project of the model, or {instead}"
        )
    tokens = Tokens.load(HELD_OUT)
    differ = UserError(
        f"{HELD_OUT} does not have the rows on which this model was calibrated: check out the run "
        f"of the model, or {instead}"
    )
    if not _has_tokenizer(predictor) or len(tokens) != len(_calibration_scores(predictor)):
        raise differ
    sample = _sample(predictor, _slices(tokens), HELD_OUT)
    distance = np.abs(np.sort(sample.scores) - np.sort(_calibration_scores(predictor)))
    if distance.mean() > SAME_SCORES:
        raise differ
    return sample


def _has_tokenizer(predictor: Predictor) -> bool:
    """Return whether the model has the tokenizer of the run."""
    tokenizer = Tokenizer.from_file(str(HELD_OUT.with_name("tokenizer.json")))
    read_literally(tokenizer)
    return bool(tokenizer.to_str() == predictor.tokenizer.to_str())


def _calibration_scores(predictor: Predictor) -> Sequence[float]:
    """Return the scores of the validation rows that determine the intervals."""
    both = predictor.precise and predictor.deferral
    scores = both.scores if both else predictor.calibration.scores
    return [*chain(*scores["adaptive"])]


def calibration_rows(predictor: Predictor) -> int:
    """Return the number of rows on which the intervals were calibrated."""
    return len(_calibration_scores(predictor))


def _refuse_few(rows: int, what: str, path: Path) -> None:
    if rows < MIN_ROWS:
        raise UserError(
            f"{path} has {rows} {what}, and at least {MIN_ROWS} are needed: fewer would show "
            "only extreme changes"
        )


def _tokens_of_table(
    predictor: Predictor,
    path: Path,
    columns: Sequence[str],
    label: str | None,
    fixed: Format | None,
) -> Iterator[Tokens]:
    reader = LabelReader(predictor.labels)
    row = 0
    # Without a label, the text columns are read again: no other column has to be readable.
    for chunk in rows_of_file(path, columns, columns if label is None else [label], fixed):
        names = [f"{path}: row {number}" for number in range(row + 1, row + 1 + len(chunk.texts))]
        texts = [_text(cell, name) for cell, name in zip(chunk.texts, names, strict=True)]
        if not texts:
            continue
        row += len(texts)
        tokens = predictor.tokenized(texts)
        if label is not None and chunk.others is not None:
            cells = zip(chunk.others.column(0).to_pylist(), names, strict=True)
            labels = [_class_of(cell, reader, name) for cell, name in cells]
            tokens = replace(tokens, labels=np.array(labels, np.int64))
        yield tokens


def _text(cell: object, row: str) -> str:
    if problem := unreadable(cell):
        raise UserError(f"{row} {problem}")
    return str(cell)


def _class_of(cell: object, reader: LabelReader, row: str) -> int:
    if lacks_label(cell, reader.known):
        return NO_LABEL
    reading = reader.read(cell)
    if reading is None:
        raise UserError(f"{row}: {reader.problem(cell)}")
    return reading.label


def _slices(tokens: Tokens) -> Iterator[Tokens]:
    """Yield `ROWS_PER_CHUNK` rows at a time."""
    for start in range(0, len(tokens), ROWS_PER_CHUNK):
        offsets = tokens.offsets[start : start + ROWS_PER_CHUNK + 1]
        ids = tokens.ids[offsets[0] : offsets[-1]]
        yield Tokens(ids, offsets - offsets[0], tokens.labels[start : start + ROWS_PER_CHUNK])


def _sample(predictor: Predictor, chunks: Iterator[Tokens], path: Path) -> Sample:
    unknown = unknown_token(predictor.tokenizer)
    samples = []
    with tqdm(desc=path.name, unit="row", disable=None) as bar:
        for tokens in chunks:
            samples.append(_sample_of_chunk(predictor, tokens, unknown))
            bar.update(len(tokens))
    _refuse_few(sum(len(sample.predicted) for sample in samples), "rows", path)
    return _joined(samples)


def _joined(samples: Sequence[Sample]) -> Sample:
    figures: dict[str, Any] = {
        name: None if first is None else np.concatenate([vars(one)[name] for one in samples])
        for name, first in vars(samples[0]).items()
    }
    return Sample(**figures)


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """Return the id of the token for what is not in the vocabulary, or None if there is none."""
    model = json.loads(tokenizer.to_str())["model"]
    name = model.get("unk_token")
    found: int | None = tokenizer.token_to_id(name) if name else model.get("unk_id")
    return found


def _sample_of_chunk(predictor: Predictor, tokens: Tokens, unknown: int | None) -> Sample:
    probabilities = predictor.probabilities(tokens)
    low, high = predictor.intervals(probabilities)
    predicted = decode(probabilities, predictor.rule, predictor.costs)
    labelled: Labels = np.flatnonzero(tokens.labels != NO_LABEL)
    labels = tokens.labels[labelled]
    inside = (low[labelled] <= labels) & (labels <= high[labelled])
    return Sample(
        predicted=predicted,
        widths=high - low + 1,
        lengths=tokens.lengths,
        unknown=None if unknown is None else _shares(tokens, unknown),
        errors=np.abs(predicted[labelled] - labels),
        covered=inside.astype(np.int64),
        scores=nonconformity_scores(probabilities[labelled])[np.arange(len(labels)), labels],
    )


def _shares(tokens: Tokens, token: int) -> Floats:
    """Return the share of a token among those of each row, rounded, shape (rows,)."""
    sums = np.concatenate([[0], np.cumsum(tokens.ids == token)])
    shares: Floats = np.diff(sums[tokens.offsets]) / tokens.lengths
    return shares.round(DIGITS)
