"""Counts of a user's own file."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.files import sha256
from ordinal.own_data.inspection import inspect
from tests.own_data.tickets import tickets, write


@pytest.mark.parametrize(
    "name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.tsv", "t.jsonl", "t.parquet"]
)
def test_every_kind_of_file_gives_the_same_facts(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    table = tickets(critical=39)
    if name.endswith("jsonl"):
        table.to_json(path, orient="records", lines=True)
    elif name.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    facts = inspect(path)
    assert (facts.text, facts.label, facts.alternatives) == ("ticket", "urgency", ())
    assert facts.classes == {"low": 40, "medium": 40, "high": 40, "critical": 39}
    assert (facts.rows, facts.blank, facts.incomplete) == (159, 1, 0)
    assert facts.words == (8, 8, 8, 8)
    assert facts.sha256 == sha256(path)


cells = st.sampled_from(["", " ", "a", "A ", "a  a", "b\nc", "ß", "SS", "e " * 380, "f " * 381])


@given(st.lists(st.tuples(cells, st.sampled_from(["", "  ", "1", "1.0", "2", "x"])), min_size=1))
def test_counts_are_those_of_a_plain_reading(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "counts.csv"
    write(pd.DataFrame(rows, columns=["t", "l"]), path)
    whole = [
        (text, "1" if label == "1.0" else label)
        for text, label in rows
        if text.strip() and label.strip()
    ]
    if not whole:
        with pytest.raises(UserError, match="no row has both"):
            inspect(path, "t", "l")
        return
    facts = inspect(path, "t", "l")
    assert facts.rows == len(whole)
    assert facts.classes == Counter(label for _, label in whole)
    assert facts.blank == sum(not text.strip() and not label.strip() for text, label in rows)
    assert facts.incomplete == len(rows) - facts.blank - len(whole)
    half = [bool(text.strip()) != bool(label.strip()) for text, label in rows]
    assert facts.first_incomplete == (half.index(True) + 1 if any(half) else 0)
    lengths = sorted(len(text.split()) for text, _ in whole)
    assert facts.words[3] == lengths[-1]
    assert facts.words[1] in lengths
    assert facts.long == sum(length > 380 for length in lengths)
    labels_of: dict[str, set[str]] = {}
    for text, label in whole:
        labels_of.setdefault(" ".join(text.casefold().split()), set()).add(label)
    assert facts.repeats == len(whole) - len(labels_of)
    assert facts.contradictions == sum(len(labels) > 1 for labels in labels_of.values())


def test_percentiles_are_those_of_numpy(tmp_path: Path) -> None:
    lengths = np.random.default_rng(0).integers(1, 400, size=997)
    table = pd.DataFrame({"t": ["w " * length for length in lengths], "l": "1"})
    facts = inspect(write(table, tmp_path / "t.csv"), "t", "l")
    expected = np.percentile(lengths, [5, 50, 95, 100])
    np.testing.assert_allclose(facts.words, expected, atol=1)
    assert facts.words[3] == lengths.max()


def test_chunks_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(pd.concat([tickets(), tickets()]), tmp_path / "t.csv")
    whole = inspect(path, "ticket", "urgency")
    assert whole.repeats == 160
    monkeypatch.setattr("ordinal.data.tables.ROWS_PER_CHUNK", 7)
    columns = inspect(path, "ticket", "urgency").columns  # judged by the first chunk
    assert inspect(path, "ticket", "urgency") == replace(whole, columns=columns)


def labelled(labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"body": [f"text {n}" for n in range(len(labels))], "grade": labels})


@pytest.mark.parametrize(
    ("labels", "classes", "missing"),
    [
        (["1", "2", "N/A", "-"], {"1", "2"}, {"N/A": 10, "-": 10}),
        (["--", "-", "0", "+"], {"--", "-", "0", "+"}, {}),
        (["--", "-", "+", "N/A"], {"--", "-", "+"}, {"N/A": 10}),
        (["none", "low", "high"], {"none", "low", "high"}, {}),
        (["none", "gold", "silver"], {"gold", "silver"}, {"none": 10}),
        (["élevé", "e\u0301leve\u0301", "bas"], {"élevé", "bas"}, {}),
        (["18_24", "25_34"], {"18_24", "25_34"}, {}),
        (["4", "4.0", "5"], {"4", "5"}, {}),
    ],
)
def test_labels_are_told_from_spellings_of_a_missing_label(
    labels: list[str], classes: set[str], missing: dict[str, int], tmp_path: Path
) -> None:
    path = write(labelled(labels * 10), tmp_path / "t.csv")
    facts = inspect(path)
    assert set(facts.classes) == classes
    assert facts.missing == missing
    assert facts.incomplete == sum(missing.values())
    if missing:
        assert facts.first_incomplete == min(map(labels.index, missing)) + 1
    assert facts.rows == sum(facts.classes.values()) == 10 * len(labels) - facts.incomplete


def test_given_labels_decide_what_is_missing(tmp_path: Path) -> None:
    path = write(labelled(["none", "gold", "silver", "-"] * 10), tmp_path / "t.csv")
    facts = inspect(path, labels=["none", "gold", "silver"])
    assert facts.classes == {"none": 10, "gold": 10, "silver": 10}
    assert facts.missing == {"-": 10}


def test_a_row_without_text_whose_label_is_spelled_as_missing_is_blank(tmp_path: Path) -> None:
    table = pd.concat([labelled(["1", "2"] * 9), pd.DataFrame({"body": [""], "grade": ["N/A"]})])
    facts = inspect(write(table, tmp_path / "t.csv"))
    assert (facts.rows, facts.blank, facts.incomplete, facts.missing) == (18, 1, 0, {})


def test_a_table_of_bytes_says_so(tmp_path: Path) -> None:
    table = pd.DataFrame({"review": [b"fine", b"bad"] * 9, "stars": [4, 5] * 9})
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"no column holds text \('review' holds bytes: decode"):
        inspect(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=r"row 1 .*: column 'review' holds bytes"):
        inspect(tmp_path / "t.parquet", "review", "stars")
