"""A table of somebody's own: what it holds, its entry in the catalog, and what to worry about."""

import csv
from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import sha256
from ordinal.common.labels import as_label, formula_among, label_key, number_of
from ordinal.data.reviews import MAX_CLASSES, is_blank, row_of, text_problem
from ordinal.data.split import fingerprint
from ordinal.data.tables import read_table
from ordinal.own_data.guess import guess_columns
from ordinal.sources.catalog import DataSet

NOT_STATED = "not stated"
RARE = 30  # rows; a tenth of the rows, to validate on, holds none of these in 4 % of the splits
IMBALANCE = 10  # times the rows of the rarest class
LONG = 380  # words; about what 512 tokens hold, the default of tokenize.max_length


@dataclass(frozen=True)
class Facts:
    """What a file holds in its text and its label column."""

    path: Path
    sha256: str
    text: str
    label: str
    alternatives: tuple[str, ...]
    """Other columns that would do for the label, if it was guessed."""
    rows: int
    """Rows with a text and a label."""
    blank: int
    """Rows with neither."""
    incomplete: int
    """Rows with one of the two, which the pipeline refuses."""
    first_incomplete: int
    """The number of the first of them, the header not counted; 0 if there is none."""
    classes: dict[str, int]
    """Rows of each label."""
    words: tuple[int, int, int, int]
    """Words a text: the 5th, 50th and 95th percentile, and the most."""
    long: int
    """Texts of more than `LONG` words."""
    repeats: int
    """Rows whose text stands in an earlier row, case and spacing aside."""
    contradictions: int
    """Texts that stand with different labels."""


def inspect(path: Path, text: str | None = None, label: str | None = None) -> Facts:
    """Read a file once; columns that are not named are guessed from its first rows.

    Raises:
        UserError: it can't be read, a column is missing or can't be guessed, or no row has both a
            text and a label.
    """
    alternatives: list[str] = []
    if text is None or label is None:
        sample = next(read_table(path, None, str(path)), pd.DataFrame())
        text, label, *alternatives = guess_columns(sample, text, label, path)
    if text == label:
        raise UserError(f"{path}: {quoted(text)} can't be both the text and the label")
    classes: Counter[str] = Counter()
    words = array("L")
    first_label: dict[bytes, str] = {}
    contradictory: set[bytes] = set()
    number = blank = incomplete = first_incomplete = repeats = 0
    # disable=None: no bar where there is no terminal.
    with tqdm(unit=" rows", unit_scale=True, desc=path.name, disable=None) as bar:
        for piece in read_table(path, [text, label], str(path)):
            for content, mark in piece.itertuples(index=False, name=None):
                number += 1
                if is_blank(content) and is_blank(mark):
                    blank += 1
                    continue
                if is_blank(content) or is_blank(mark) or not isinstance(content, str):
                    incomplete += 1
                    first_incomplete = first_incomplete or number
                    continue
                if wrong := text_problem(content):
                    where = f"{row_of(str(path), number)}: column {quoted(text)}"
                    raise UserError(f"{where} {wrong}")
                key = label_key(mark)
                classes[key] += 1
                words.append(len(content.split()))
                print_ = fingerprint(content)
                repeats += print_ in first_label
                if first_label.setdefault(print_, key) != key:
                    contradictory.add(print_)
            if len(classes) > MAX_CLASSES:
                raise UserError(
                    f"{path}: column {quoted(label)} has more than {MAX_CLASSES} different values: "
                    "name the column of the labels with --label"
                )
            bar.update(len(piece))
    if not words:
        columns = f"a text ({quoted(text)}) and a label ({quoted(label)})"
        raise UserError(f"{path}: no row has both {columns}")
    lengths = np.frombuffer(words, np.dtype(words.typecode))
    low, middle, high, most = np.percentile(lengths, [5, 50, 95, 100], method="nearest").tolist()
    return Facts(
        path=path,
        sha256=sha256(path),
        text=text,
        label=label,
        alternatives=tuple(alternatives),
        rows=len(words),
        blank=blank,
        incomplete=incomplete,
        first_incomplete=first_incomplete,
        classes=dict(classes),
        words=(low, middle, high, most),
        long=int((lengths > LONG).sum()),
        repeats=repeats,
        contradictions=len(contradictory),
    )


def parse_labels(text: str) -> list[int | str]:
    """The labels in "low,medium,high"; one that has a comma stands in double quotes."""
    names = next(csv.reader([" ".join(text.splitlines())], skipinitialspace=True))
    return [as_label(label_key(name)) for name in names]


def propose(
    facts: Facts,
    source: str,
    labels: Sequence[int | str] | None,
    licence: str = NOT_STATED,
    origin: str = NOT_STATED,
    synthetic: bool = False,
) -> DataSet:
    """The catalog's entry of an inspected file that lies, or will lie, at `source`.

    `labels` are in order; None if that is not known.

    Raises:
        UserError: the pipeline would refuse the file, the order of the labels is not known, or
            `labels` are not those of the file.
    """
    path, classes = facts.path, facts.classes
    column = f"{path}: column {quoted(facts.label)}"
    found = ", ".join(list(classes)[:10]) + (", …" if len(classes) > 10 else "")
    if facts.incomplete:
        raise UserError(
            f"{path}: rows with a text but no label, or a label but no text: {facts.incomplete}, "
            f"the first of them row {facts.first_incomplete} (the header not counted): fill or "
            "remove them, then run this again"
        )
    if alike := _spelled_alike(classes):
        raise UserError(
            f"{column} has {quoted(alike[0])} and {quoted(alike[1])}: make them one spelling, then "
            "run this again"
        )
    if len(classes) < 2:
        raise UserError(f"{column} has one label, {found}: 2 are needed")
    if labels is None:
        raise UserError(
            f"{path}: the order of the labels {found} is not known: give it with --labels, from "
            "lowest to highest, as in --labels 'low,medium,high'"
        )
    named = [str(label) for label in labels]
    if len(set(named)) < len(named) or "" in named:
        raise UserError(f"--labels {','.join(named)}: name each label once")
    if missing := [key for key in classes if key not in named]:
        raise UserError(
            f"{column} also has {quoted(missing[0])} ({classes[missing[0]]} rows): name it in "
            "--labels, at its place in the order"
        )
    if absent := [name for name in named if name not in classes]:
        raise UserError(
            f"{path}: no row has the label {quoted(absent[0])}: leave it out of --labels"
        )
    if wrong := formula_among(named):
        raise UserError(f"{column}: {wrong}, then run this again")
    return DataSet(
        sources=[source],
        checksum=f"sha256:{facts.sha256}",
        text=facts.text,
        label=facts.label,
        labels=list(labels),
        synthetic=synthetic,
        licence=licence,
        origin=origin,
    )


def _spelled_alike(classes: Collection[str]) -> tuple[str, str] | None:
    """Two labels that differ in nothing but case, spacing, or the digits of one number."""
    first: dict[float | str, str] = {}
    for key in classes:
        number = number_of(key)
        plain = " ".join(key.casefold().split()) if number is None else number
        if first.setdefault(plain, key) != key:
            return first[plain], key
    return None


def worries(facts: Facts, entry: DataSet, order_given: bool) -> list[str]:
    """What somebody who trains on the file should know first, a paragraph each."""
    found = []
    if facts.alternatives:
        others = ", ".join(f"'{name}'" for name in facts.alternatives)
        found.append(
            f"Column '{facts.label}' is taken for the label, but {others} would do too: choose "
            "with --label."
        )
    counts = {str(label): facts.classes[str(label)] for label in entry.labels}
    whole = [label for label in entry.labels if isinstance(label, int)]
    if not order_given and len(whole) < len(counts) and None in map(number_of, counts):
        found.append(
            f"The order {' < '.join(counts)} is taken from the words. If it is another, give it "
            "with --labels."
        )
    if len(whole) == len(counts) and max(whole) - min(whole) >= len(whole):
        found.append(
            f"The numbers {', '.join(counts)} leave gaps. A step from one label to the next counts "
            "as one, however far apart they are; and is one of them a code for a missing label?"
        )
    if rare := [f"'{key}' ({count})" for key, count in counts.items() if count < RARE]:
        found.append(
            f"Rare labels: {', '.join(rare)}. With fewer than {RARE} rows, the tenth that is to "
            "choose the best epoch may hold none of a label, and the test says little of it. "
            "Gather more, or join the label with its neighbour."
        )
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] >= IMBALANCE * counts[least]:
        found.append(
            f"Label '{most}' has {counts[most] / counts[least]:.0f} times the rows of '{least}'. "
            "train.class_weights=balanced lets rare labels weigh more, and the metric macro_mae "
            "counts all labels alike."
        )
    if facts.long:
        found.append(
            f"Texts of more than {LONG} words: {facts.long} ({facts.long / facts.rows:.1%}). That "
            "is about what 512 tokens hold; what is longer than tokenize.max_length is cut, so "
            "that a label told by the end of a text can't be learned."
        )
    if facts.repeats:
        found.append(
            f"Rows that repeat the text of an earlier row: {facts.repeats}. With "
            "split.method=shuffle a text may stand on both sides of the split, and results look "
            "better than they are: take split.method=hash."
        )
    if facts.contradictions:
        found.append(
            f"Texts that stand with different labels: {facts.contradictions}. No model can be "
            "right about all of their rows."
        )
    if NOT_STATED in (entry.licence, entry.origin):
        found.append(
            "Licence and origin are not both stated. Give them with --licence and --origin, or "
            "fill them in in the catalog: the model card quotes them."
        )
    return found
