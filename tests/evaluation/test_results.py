"""The headline numbers and the rows of the results table, from made-up details."""

import math
from typing import Any

import pytest

from ordinal.evaluation.results import (
    HEADLINE_METRICS,
    METRIC_NAMES,
    baseline_names,
    format_interval,
    format_number,
    headline,
    results_rows,
    warnings_of,
)

METRICS: dict[str, float | None] = dict.fromkeys(METRIC_NAMES, 1 / 3) | {"spearman": None}
DETAILS: dict[str, Any] = {
    "baseline": {"median": METRICS | {"mae": 1.23456789}, "tfidf": METRICS},
    "data": {"name": "demo"},
    "split": {"rows": {}},
    "train": METRICS | {"mae": 0.123456},
    "validation": METRICS | {"mae": 0.234567},
    "test": METRICS,
    "bootstrap": {name: {"low": 0.25, "high": value} for name, value in METRICS.items()},
    "interval": {"target": 0.9, "coverage": 0.891234, "width": 1.512345},
}


def test_the_headline_numbers_are_few_and_rounded() -> None:
    assert headline(DETAILS) == {
        "train": {"mae": 0.1235},
        "validation": {"mae": 0.2346},
        "test": dict.fromkeys(HEADLINE_METRICS, 0.3333) | {"spearman": None},
        "interval": {"coverage": 0.8912, "width": 1.5123},
        "baseline": {
            "median": {"mae": 1.2346, "cost": 0.3333},
            "tfidf": {"mae": 0.3333, "cost": 0.3333},
        },
    }
    assert len(HEADLINE_METRICS) + 8 <= 20


def test_without_costs_of_errors_there_is_no_cost() -> None:
    without = {name: value for name, value in METRICS.items() if name != "cost"}
    numbers = headline(DETAILS | {"test": without})
    assert list(numbers["test"]) == [name for name in HEADLINE_METRICS if name != "cost"]
    assert numbers["baseline"]["tfidf"] == {"mae": 0.3333}


def test_results_rows_have_the_baselines_the_model_and_its_interval() -> None:
    rows = {row[0]: row[1:] for row in results_rows(DETAILS)}
    assert list(rows) == list(METRIC_NAMES)
    assert rows["mae"] == ["1.2346", "0.3333", "0.3333", "0.2500 to 0.3333"]
    assert rows["spearman"] == ["–", "–", "–", "0.2500 to –"]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.25, ".4f", "0.2500"),
        (-0.00004, "+.4f", "-0.0000"),
        (None, ".4f", "–"),
        (math.nan, "+.4f", "–"),
    ],
)
def test_format_number(value: float | None, form: str, text: str) -> None:
    assert format_number(value, form) == text


def test_format_interval() -> None:
    assert format_interval(0.1, None) == "0.1000 to –"


def test_there_are_no_warnings_and_words_if_nothing_else_is_recorded() -> None:
    assert warnings_of(DETAILS) == []
    assert baseline_names(DETAILS) == {"median": "median", "tfidf": "TF-IDF"}


def test_warnings_name_what_was_dropped_repaired_absent_and_not_learned() -> None:
    tfidf = METRICS | {"features": "characters", "warning": "TF-IDF learned nothing."}
    details = DETAILS | {
        "data": {"dropped": {"blank rows": 3, "other rows": 1}, "repairs": {"lines skipped": 2}},
        "split": {"warnings": ["No row for test has the label 1."]},
        "baseline": {"median": METRICS, "tfidf": tfidf},
    }
    assert warnings_of(details) == [
        "Rows that were dropped: blank rows (3), other rows (1).",
        "Repairs of the file: lines skipped (2).",
        "No row for test has the label 1.",
        "TF-IDF learned nothing.",
    ]
    assert baseline_names(details)["tfidf"] == "TF-IDF (characters)"
    assert headline(details)["baseline"]["tfidf"] == {"mae": 0.3333, "cost": 0.3333}
