"""A table of support tickets with four grades of urgency, for the tests of this folder."""

from pathlib import Path

import pandas as pd

from ordinal.own_data.inspection import Facts
from ordinal.own_data.label_scale import find_scale
from ordinal.own_data.proposal import parse_labels, propose
from ordinal.sources.catalog import DataSet

GRADES = ("low", "medium", "high", "critical")


def tickets(**changes: int) -> pd.DataFrame:
    """Return 40 different tickets per grade, or the given number, and a blank last row."""
    rows = [
        (f"id-{grade}-{number}", f"The door {number} of ward {grade} is open", grade, "mail")
        for grade in GRADES
        for number in range(changes.get(grade, 40))
    ]
    return pd.DataFrame([*rows, ("", "", "", "")], columns=["id", "ticket", "urgency", "channel"])


def write(table: pd.DataFrame, path: Path) -> Path:
    table.to_csv(path, index=False)
    return path


def entry_of(facts: Facts, labels: str | None = None) -> DataSet:
    scale = find_scale(facts.classes, parse_labels(labels) if labels else None)
    return propose(facts, "data/own/tickets.csv", scale, licence="CC0-1.0", origin="a test")
