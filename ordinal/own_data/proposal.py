"""Propose a catalog entry for an inspected file, and warn about its weak points."""

import csv
from collections.abc import Mapping, Sequence

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, list_labels, number_of
from ordinal.data.label_reader import LabelReader
from ordinal.own_data.inspection import LONG, Facts
from ordinal.own_data.label_scale import Scale
from ordinal.sources.catalog import DataSet

NOT_STATED = "not stated"
RARE = 30  # rows; of so many, the validation part (10 %) contains none in 4 % of the splits
IMBALANCE = 10  # times the rows of the rarest class


def parse_labels(text: str) -> list[int | str]:
    """Return the labels in a list such as "low,medium,high"; double quotes protect a comma."""
    names = next(csv.reader([" ".join(text.splitlines())], skipinitialspace=True))
    return [as_label(label_key(name)) for name in names]


def parse_map(options: Sequence[str]) -> dict[int | str, int | str]:
    """Return the spellings in options such as "4 stars=4", each with its label.

    Raises:
        UserError: one is not of this form, or is there twice.
    """
    spellings: dict[int | str, int | str] = {}
    for option in options:
        spelling, _, label = (label_key(part) for part in option.rpartition("="))
        if not (spelling and label) or as_label(spelling) in spellings:
            raise UserError(f"--map {option}: give each spelling once, as SPELLING=LABEL")
        spellings[as_label(spelling)] = as_label(label)
    return spellings


def propose(
    facts: Facts,
    source: str,
    scale: Scale | None,
    licence: str = NOT_STATED,
    origin: str = NOT_STATED,
    synthetic: bool = False,
) -> DataSet:
    """Return the catalog entry of an inspected file.

    Args:
        facts: The result of `inspect`.
        source: The path of the file in the entry.
        scale: The labels from lowest to highest, or None if their order is not known.
        licence: The licence of the data.
        origin: One line: who made the data, and how.
        synthetic: Whether a program made up the texts.

    Raises:
        UserError: the pipeline would refuse the file, the order of the labels is not known, or
            the labels are not those of the file.
    """
    if len(facts.classes) < 2:
        column = f"{facts.path}: column {quoted(facts.label)}"
        raise UserError(f"{column} has only the label {next(iter(facts.classes))}: 2 are needed")
    if scale is None:
        raise UserError(
            f"{facts.path}: the order of the labels {list_labels(list(facts.classes))} is not "
            "known: list them from lowest to highest with --labels, for example "
            "--labels 'low,medium,high'"
        )
    _check_options(scale)
    _check_rows(facts, scale)
    return DataSet(
        sources=[source],
        checksum=f"sha256:{facts.sha256}",
        text=facts.text,
        label=facts.label,
        format=facts.fixed,
        labels=scale.labels,
        map=scale.map or None,
        bins=scale.bins,
        synthetic=synthetic,
        licence=licence,
        origin=origin,
    )


def _check_options(scale: Scale) -> None:
    """Raise a UserError if --labels has a label twice, or --map a label that is not in --labels."""
    named = [str(label) for label in scale.labels]
    if len(set(named)) < len(named) or "" in named:
        raise UserError(f"--labels {','.join(named)}: name each label once")
    if unknown := [label for label in scale.map.values() if str(label) not in named]:
        raise UserError(
            f"--map: {quoted(unknown[0])} is not a label; known are {list_labels(named)}"
        )


def _check_rows(facts: Facts, scale: Scale) -> None:
    """Raise a UserError if the rows of the file do not have exactly the labels of the scale."""
    reader = LabelReader(scale.labels, scale.map, scale.bins)
    if missing := [key for key in facts.classes if not reader.read(key)]:
        raise UserError(
            f"{facts.path}: column {quoted(facts.label)} also has {quoted(missing[0])} "
            f"({facts.classes[missing[0]]} rows): add it to --labels, at its place in the order, "
            f"or say which label it means with --map '{missing[0]}={scale.labels[0]}'"
        )
    if absent := [name for name, rows in scale.counts(facts.classes).items() if not rows]:
        raise UserError(
            f"{facts.path}: no row has the label {quoted(absent[0])}: remove it from --labels"
        )


def warnings_about(facts: Facts, entry: DataSet, order_given: bool) -> list[str]:
    """Return what to check before training on a file, one paragraph per warning."""
    scale = Scale(entry.labels, entry.map or {}, entry.bins)
    counts = scale.counts(facts.classes)
    warnings = [
        _incomplete(facts),
        _other_columns(facts),
        None if order_given else _guessed_order(counts),
        _mapped(scale.map),
        _binned(scale.bins),
        _gaps([label for label in entry.labels if isinstance(label, int)], counts),
        _rare_labels(counts),
        _imbalance(counts),
        _long_texts(facts),
        _repeated_texts(facts),
        _contradictions(facts),
        _not_stated(entry),
    ]
    return [warning for warning in warnings if warning]


def _incomplete(facts: Facts) -> str | None:
    if not facts.incomplete:
        return None
    spelled = ", ".join(f"{quoted(key)} ({count})" for key, count in facts.missing.items())
    spellings = f" Labels that are spelled as missing: {spelled}." if spelled else ""
    return (
        f"Rows with a text but no label, or a label but no text: {facts.incomplete}, the first is "
        f"row {facts.first_incomplete} (not counting the header).{spellings} The pipeline refuses "
        "them. Fill or remove them, or set data.missing=drop, which leaves them out."
    )


def _other_columns(facts: Facts) -> str | None:
    if not facts.alternatives:
        return None
    others = ", ".join(f"'{name}'" for name in facts.alternatives)
    return (
        f"The label column '{facts.label}' is a guess, and {others} would fit too. Choose one with "
        "--label."
    )


def _guessed_order(counts: Mapping[str, int]) -> str | None:
    if None not in map(number_of, counts):
        return None
    return (
        f"The order {' < '.join(counts)} is a guess from the words. If it is wrong, give the order "
        "with --labels."
    )


def _mapped(spellings: Mapping[int | str, int | str]) -> str | None:
    if not spellings:
        return None
    pairs = [f"{quoted(spelling)} as {quoted(label)}" for spelling, label in spellings.items()]
    return f"Spellings that are read as another label: {list_labels(pairs)}. Check the map."


def _binned(bins: Sequence[float] | None) -> str | None:
    if bins is None:
        return None
    edges = list_labels([f"{edge:g}" for edge in bins])
    return (
        f"The labels are {len(bins) - 1} bins of the numbers, with the edges {edges}. A number on "
        "an edge belongs to the higher bin. Change labels and bins in the entry if others suit."
    )


def _gaps(numbers: Sequence[int], counts: Mapping[str, int]) -> str | None:
    if len(numbers) < len(counts) or max(numbers) - min(numbers) < len(numbers):
        return None
    return (
        f"The labels {', '.join(counts)} have gaps. Neighbouring labels count as one step apart, "
        "whatever the difference of their numbers. Check that none of them is a code for a missing "
        "label."
    )


def _rare_labels(counts: Mapping[str, int]) -> str | None:
    rare = [f"'{key}' ({count})" for key, count in counts.items() if count < RARE]
    if not rare:
        return None
    return (
        f"Rare labels: {', '.join(rare)}. With fewer than {RARE} rows, the validation part may "
        "have no row of a label, and the test result for the label is uncertain. Collect more "
        "rows, or merge the label with its neighbour."
    )


def _imbalance(counts: Mapping[str, int]) -> str | None:
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] < IMBALANCE * counts[least]:
        return None
    return (
        f"Label '{most}' has {counts[most] / counts[least]:.0f} times the rows of '{least}'. "
        "train.class_weights=balanced gives rare labels more weight in training, and the metric "
        "macro_mae gives all labels the same weight."
    )


def _long_texts(facts: Facts) -> str | None:
    if not facts.long:
        return None
    return (
        f"Texts of more than {LONG} words: {facts.long} ({facts.long / facts.rows:.1%}). {LONG} "
        "words are about 512 tokens. The model does not see what is beyond tokenize.max_length."
    )


def _repeated_texts(facts: Facts) -> str | None:
    if not facts.repeats:
        return None
    return (
        f"Rows that repeat the text of an earlier row: {facts.repeats}. With split.method=shuffle "
        "the same text may be in the training and in the test part, and results look better than "
        "they are. Use split.method=hash."
    )


def _contradictions(facts: Facts) -> str | None:
    if not facts.contradictions:
        return None
    return (
        f"Texts with different labels in different rows: {facts.contradictions}. No model can be "
        "right about all of these rows."
    )


def _not_stated(entry: DataSet) -> str | None:
    if NOT_STATED not in (entry.licence, entry.origin):
        return None
    return (
        "The licence or the origin of the data is not stated. Give them with --licence and "
        "--origin, or edit the catalog: the model card quotes them."
    )
