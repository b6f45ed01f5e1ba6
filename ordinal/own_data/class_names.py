"""Labels that a data set of the hub stores as numbers, next to the names of the classes."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import pandas as pd

from ordinal.common.errors import UserError, quoted
from ordinal.common.labels import as_label, label_key, list_labels, number_of
from ordinal.own_data.guess import order_of

UNLABELLED = -1
"""The class of rows without a label, as in test splits whose labels are secret."""


def labels_in_order(names: Sequence[str], column: str, source: str) -> list[int | str]:
    """Return the names of classes as labels, lowest first, if they are in the order of a scale.

    Numbers, texts that begin with a number ("4 stars") and the words of known scales must be in
    ascending order. Three or more other words must not be in alphabetical order, since then nobody
    chose it.

    Raises:
        UserError: they are not in such an order.
    """
    keys = [label_key(name) for name in names]
    labels = [as_label(key) for key in keys]
    if len(set(keys)) < max(2, len(keys)):
        raise UserError(
            f"{source}: column {quoted(column)} has the classes {list_labels(labels)}: two or more "
            "different ones are needed"
        )
    if _is_ascending(keys):
        return labels
    raise UserError(
        f"{source}: column {quoted(column)} has the classes {list_labels(labels)}, which are not "
        "in the order of a scale: list them from lowest to highest, by their numbers 0 to "
        f"{len(names) - 1}, in an entry of data/catalog.yaml with an hf:// source"
    )


def _is_ascending(keys: Sequence[str]) -> bool:
    begins = [re.match(r"[+-]?[0-9]+(\.[0-9]+)?", key) for key in keys]
    if all(begins):
        numbers = [float(found[0]) for found in begins if found]
        return all(low < high for low, high in pairwise(numbers))
    known = order_of(keys)
    if known:
        return known == [as_label(key) for key in keys]
    return len(keys) == 2 or list(keys) != sorted(keys)


def name_classes(
    chunks: Iterable[pd.DataFrame], column: str, names: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Yield chunks with the names of the classes in place of their numbers.

    Cells that are a name already stay, as in CSV files. -1 becomes a missing label.
    """
    keys = {label_key(name) for name in names}
    for chunk in chunks:
        cells = pd.Series([_name_of(cell, names, keys) for cell in chunk[column]], dtype=object)
        yield chunk.assign(**{column: cells.set_axis(chunk.index)})


def _name_of(cell: object, names: Sequence[str], keys: set[str]) -> object:
    key = label_key(cell)
    number = number_of(key)
    if (isinstance(cell, str) and key in keys) or number is None:
        return cell
    if number == UNLABELLED:
        return None
    is_class = number in range(len(names))
    return names[int(number)] if is_class else f"class {key}"  # not "5", which may be a name
