"""Read a table of your own once, and count what matters for training on it."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import sha256
from ordinal.common.labels import label_key
from ordinal.data.rows import (
    is_blank_row,
    is_incomplete,
    refuse_many_classes,
    row_of,
    text_problem,
)
from ordinal.data.split import fingerprint
from ordinal.data.tables import read_table
from ordinal.own_data.guess import guess_columns

LONG = 380  # words; about 512 tokens, the default of tokenize.max_length


@dataclass(frozen=True)
class Facts:
    """The text and label columns of a file, and counts of their content."""

    path: Path
    sha256: str
    text: str
    label: str
    alternatives: tuple[str, ...]
    """Other columns that could be the label column, if it was guessed."""
    rows: int
    """Rows with a text and a label."""
    blank: int
    """Rows with neither."""
    incomplete: int
    """Rows with only one of the two, which the pipeline refuses."""
    first_incomplete: int
    """Number of the first incomplete row, not counting the header; 0 if there is none."""
    classes: dict[str, int]
    """Rows per label."""
    words: tuple[int, int, int, int]
    """Words per text: the 5th, 50th and 95th percentile, and the maximum."""
    long: int
    """Texts of more than `LONG` words."""
    repeats: int
    """Rows whose text is also in an earlier row, ignoring case and spacing."""
    contradictions: int
    """Texts that have different labels in different rows."""


@dataclass
class _Counts:
    """Counts over the rows read so far."""

    blank: int = 0
    incomplete: int = 0
    first_incomplete: int = 0
    repeats: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    words: "array[int]" = field(default_factory=lambda: array("L"))
    label_of: dict[bytes, str] = field(default_factory=dict)
    """First label of each text, by the text's fingerprint."""
    contradictory: set[bytes] = field(default_factory=set)
    """Fingerprints of texts with different labels."""

    def add_incomplete(self, number: int) -> None:
        self.incomplete += 1
        self.first_incomplete = self.first_incomplete or number

    def add(self, text: str, label: str) -> None:
        """Count a complete row."""
        self.classes[label] += 1
        self.words.append(len(text.split()))
        key = fingerprint(text)
        self.repeats += key in self.label_of
        if self.label_of.setdefault(key, label) != label:
            self.contradictory.add(key)


def inspect(path: Path, text: str | None = None, label: str | None = None) -> Facts:
    """Read a file once and count its rows, labels, repeated texts and words per text.

    Columns that are not given are guessed from the first rows.

    Raises:
        UserError: the file can't be read, a column is missing or can't be guessed, a text is not
            usable, or no row has both a text and a label.
    """
    alternatives: list[str] = []
    if text is None or label is None:
        sample = next(read_table(path, None, str(path)), pd.DataFrame())
        text, label, *alternatives = guess_columns(sample, text, label, path)
    if text == label:
        raise UserError(f"{path}: {quoted(text)} can't be both the text and the label")
    counts = _count(path, text, label)
    if not counts.words:
        columns = f"a text ({quoted(text)}) and a label ({quoted(label)})"
        raise UserError(f"{path}: no row has both {columns}")
    lengths = np.frombuffer(counts.words, np.dtype(counts.words.typecode))
    low, middle, high, most = np.percentile(lengths, [5, 50, 95, 100], method="nearest").tolist()
    return Facts(
        path=path,
        sha256=sha256(path),
        text=text,
        label=label,
        alternatives=tuple(alternatives),
        rows=len(counts.words),
        blank=counts.blank,
        incomplete=counts.incomplete,
        first_incomplete=counts.first_incomplete,
        classes=dict(counts.classes),
        words=(low, middle, high, most),
        long=int((lengths > LONG).sum()),
        repeats=counts.repeats,
        contradictions=len(counts.contradictory),
    )


def _count(path: Path, text_column: str, label_column: str) -> _Counts:
    counts = _Counts()
    number = 0
    # disable=None: no progress bar without a terminal.
    with tqdm(unit=" rows", unit_scale=True, desc=path.name, disable=None) as bar:
        for chunk in read_table(path, [text_column, label_column], str(path)):
            for text, label in chunk.itertuples(index=False, name=None):
                number += 1
                if is_blank_row(text, label):
                    counts.blank += 1
                elif is_incomplete(text, label):
                    counts.add_incomplete(number)
                elif problem := text_problem(text):
                    row = row_of(str(path), number)
                    raise UserError(f"{row}: column {quoted(text_column)} {problem}")
                else:
                    counts.add(text, label_key(label))
            advice = "name the column of the labels with --label"
            refuse_many_classes(len(counts.classes), str(path), label_column, advice)
            bar.update(len(chunk))
    return counts
