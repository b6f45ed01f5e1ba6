"""Folds of cross-validation, as `split.fold` names them."""

import re
from typing import NamedTuple


class Fold(NamedTuple):
    """One of several folds of all rows; `number` counts from 1."""

    number: int
    folds: int

    def __str__(self) -> str:
        return f"{self.number}/{self.folds}"

    @classmethod
    def parse(cls, text: str) -> "Fold":
        """Read a text such as 2/5.

        Raises:
            ValueError: it is not one of the folds 1/N to N/N with N of at least 2.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None:
            raise ValueError("fold must be written as 2/5, which is the second fold of five")
        number, folds = map(int, found.groups())
        if folds < 2:
            raise ValueError(f"fold {text}: there must be at least 2 folds")
        if not 1 <= number <= folds:
            raise ValueError(f"fold {text}: the folds are 1/{folds} to {folds}/{folds}")
        return cls(number, folds)
