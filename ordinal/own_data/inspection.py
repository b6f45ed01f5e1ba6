"""Read a table of your own once, and count what matters for training on it."""

from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import sha256
from ordinal.common.formats import Format
from ordinal.common.labels import label_key
from ordinal.data.detection import detect
from ordinal.data.headers import name_key
from ordinal.data.rows import (
    column_of,
    is_blank,
    is_spelled_missing,
    join_cells,
    refuse_many_classes,
    row_of,
    text_problem,
    wrong_type,
)
from ordinal.data.split import fingerprint
from ordinal.data.tables import read_table
from ordinal.own_data.columns import Columns, find_columns
from ordinal.own_data.guess import guess_columns, real_labels

LONG = 380  # words; about 512 tokens, the default of tokenize.max_length


@dataclass(frozen=True)
class Facts:
    """The text and label columns of a file, and counts of their content."""

    path: Path
    sha256: str
    format: Format
    fixed: Format
    """The fields of the format that were given, not detected."""
    repairs: dict[str, int]
    """Repairs per kind, such as skipped lines before the header."""
    text: str | list[str]
    label: str
    columns: Columns
    """The use of the other columns, judged by the first rows."""
    alternatives: tuple[str, ...]
    """Other columns that could be the label column, if it was guessed."""
    rows: int
    """Rows with a text and a label."""
    blank: int
    """Rows with neither."""
    incomplete: int
    """Rows with only one of the two, which the pipeline refuses or drops."""
    first_incomplete: int
    """Number of the first incomplete row, not counting the header; 0 if there is none."""
    missing: dict[str, int]
    """Rows with a text per spelling of a missing label, such as N/A."""
    classes: dict[str, int]
    """Rows per label."""
    first_rows: dict[str, int]
    """Number of the first row with each label, not counting the header."""
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
    first_rows: dict[str, int] = field(default_factory=dict)
    words: "array[int]" = field(default_factory=lambda: array("L"))
    label_of: dict[bytes, str] = field(default_factory=dict)
    """First label of each text, by the text's fingerprint."""
    contradictory: set[bytes] = field(default_factory=set)
    """Fingerprints of texts with different labels."""
    doubtful: dict[str, list["_Row"]] = field(default_factory=dict)
    """Rows per label that may be a spelling of a missing label."""

    def add(self, number: int, text: str | None, label: str | None) -> None:
        """Count a row; what it lacks is None."""
        if label is None and text is None:
            self.blank += 1
        elif label is None:
            self.add_incomplete(number)
        else:
            row = _Row(number, len(text.split()), fingerprint(text)) if text else _Row(number)
            if is_spelled_missing(label):
                self.doubtful.setdefault(label, []).append(row)
            else:
                self.add_labelled(row, label)

    def add_incomplete(self, number: int) -> None:
        self.incomplete += 1
        self.first_incomplete = min(number, self.first_incomplete or number)

    def add_labelled(self, row: "_Row", label: str) -> None:
        """Count a row with a label."""
        if row.fingerprint is None:
            self.add_incomplete(row.number)
            return
        self.classes[label] += 1
        self.first_rows.setdefault(label, row.number)
        self.words.append(row.words)
        self.repeats += row.fingerprint in self.label_of
        if self.label_of.setdefault(row.fingerprint, label) != label:
            self.contradictory.add(row.fingerprint)

    def settle(self, known: Collection[str] | None) -> dict[str, int]:
        """Decide which doubtful labels are labels; return the number of rows with the others.

        Args:
            known: The labels, or None: see `real_labels`.
        """
        if known is None:
            known = real_labels({*self.classes, *self.doubtful})
        missing = {}
        for label, rows in self.doubtful.items():
            if not is_spelled_missing(label, known):
                for row in rows:
                    self.add_labelled(row, label)
                continue
            with_text = [row for row in rows if row.fingerprint is not None]
            self.blank += len(rows) - len(with_text)
            for row in with_text:
                self.add_incomplete(row.number)
            if with_text:
                missing[label] = len(with_text)
        return missing


class _Row(NamedTuple):
    """The facts about a row that `new-data` keeps."""

    number: int
    words: int = 0
    fingerprint: bytes | None = None
    """None if the row has no text."""


def inspect(
    path: Path,
    text: str | Sequence[str] | None = None,
    label: str | None = None,
    fixed: Format | None = None,
    labels: Sequence[int | str] | None = None,
) -> Facts:
    """Read a file once and count its rows, labels, repeated texts and words per text.

    Columns that are not given are guessed from the first rows, and so is the format, except its
    `fixed` fields. `labels` are the labels of the file, if they are known.

    Raises:
        UserError: the file can't be read, a column is missing or can't be guessed, a text is not
            usable, or no row has both a text and a label.
    """
    texts = [name_key(name) for name in ([text] if isinstance(text, str) else text or ())]
    label = label and name_key(label)
    found, fixed = _formats(path, [*texts, *([label] if label else [])], fixed or Format())
    sample = next(read_table(path, None, str(path), fixed), pd.DataFrame())
    columns = find_columns(sample[~sample.map(is_blank).all(axis=1)])
    texts, label, alternatives = _choose_columns(sample, columns, texts, label, path)
    repairs: Counter[str] = Counter()
    counts = _count(path, texts, label, fixed, repairs)
    missing = counts.settle(None if labels is None else [label_key(name) for name in labels])
    _refuse_no_rows(counts, path, texts, label)
    lengths = np.frombuffer(counts.words, np.dtype(counts.words.typecode))
    low, middle, high, most = np.percentile(lengths, [5, 50, 95, 100], method="nearest").tolist()
    return Facts(
        path=path,
        sha256=sha256(path),
        format=found,
        fixed=fixed,
        repairs=dict(repairs),
        text=texts[0] if len(texts) == 1 else texts,
        label=label,
        columns=columns.without([*texts, label]),
        alternatives=tuple(alternatives),
        rows=len(counts.words),
        blank=counts.blank,
        incomplete=counts.incomplete,
        first_incomplete=counts.first_incomplete,
        missing=missing,
        classes=dict(counts.classes),
        first_rows=counts.first_rows,
        words=(low, middle, high, most),
        long=int((lengths > LONG).sum()),
        repeats=counts.repeats,
        contradictions=len(counts.contradictory),
    )


def _formats(path: Path, given: Sequence[str], fixed: Format) -> tuple[Format, Format]:
    """Return the format of a file, and the fields of it that an entry has to name."""
    found = detect(path, str(path), fixed, given or None)
    is_untitled = found.header == "none"
    return found, Format(**fixed.fixed() | {"header": "none"}) if is_untitled else fixed


def _choose_columns(
    sample: pd.DataFrame, columns: Columns, texts: list[str], label: str | None, path: Path
) -> tuple[list[str], str, list[str]]:
    """Return the text columns, the label column, and others that could be the label column."""
    if texts and label is not None:
        return texts, label, []
    not_labels = {columns.part, columns.time, *texts[1:]} - {*texts[:1], label}
    sample = sample.drop(columns=[name for name in sample if name in not_labels])
    text, label, *others = guess_columns(sample, texts[0] if texts else None, label, path)
    return texts or [text], label, [name for name in others if name != columns.group]


def _refuse_no_rows(counts: _Counts, path: Path, texts: Sequence[str], label: str) -> None:
    if not counts.words:
        columns = f"a text ({', '.join(map(quoted, texts))}) and a label ({quoted(label)})"
        raise UserError(f"{path}: no row has both {columns}")


def _count(
    path: Path, texts: Sequence[str], label_column: str, fixed: Format, repairs: Counter[str]
) -> _Counts:
    if label_column in texts:
        raise UserError(f"{path}: {quoted(label_column)} can't be both the text and the label")
    counts = _Counts()
    source = str(path)
    number = 0
    # disable=None: no progress bar without a terminal.
    with tqdm(unit=" rows", unit_scale=True, desc=path.name, disable=None) as bar:
        for chunk in read_table(path, [*texts, label_column], source, fixed, repairs):
            for *cells, label in chunk.itertuples(index=False, name=None):
                number += 1
                text: Any = join_cells(cells)
                columns = (column_of(cells, texts), label_column)
                _refuse_wrong(text, label, columns, row_of(source, number))
                counts.add(
                    number,
                    None if is_blank(text) else text,
                    None if is_blank(label) else label_key(label),
                )
            advice = "name the column of the labels with --label"
            refuse_many_classes(len(counts.classes), source, label_column, advice)
            bar.update(len(chunk))
    return counts


def _refuse_wrong(text: object, label: object, columns: tuple[str, str], row: str) -> None:
    """Raise a UserError if a row has a text or a label that is not usable."""
    if not is_blank(text) and (problem := text_problem(text)):
        raise UserError(f"{row}: column {columns[0]} {problem}")
    if not is_blank(label) and (problem := wrong_type(label)):
        raise UserError(f"{row}: column {quoted(columns[1])} holds {problem}")
