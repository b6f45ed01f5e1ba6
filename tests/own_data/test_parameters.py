"""The command that trains on an inspected file."""

import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ordinal.own_data.inspection import inspect
from ordinal.own_data.label_scale import Scale
from ordinal.own_data.parameters import (
    column_notes,
    command,
    needs_no_entry,
    parameters_for,
    parameters_for_parts,
    parts_next_to,
)
from tests.conftest import ROOT

names = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12),
    st.text(st.sampled_from("'\"\\,=[]{}()$ :"), min_size=1, max_size=6),
    st.sampled_from(["null", "True", "nan", "1", "1e3", "a b", "a\\", "\\'"]),
).filter(lambda name: "${" not in name)


@given(names, st.lists(names, min_size=1, max_size=3))
def test_hydra_reads_the_values_of_the_command(name: str, keep: list[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    line = command({"data.name": name, "data.keep": keep})
    words = shlex.split(line)
    assert words[:3] == ["dvc", "exp", "run"]
    settings = words[4::2]
    read = {
        override.key_or_group: override.value()
        for override in OverridesParser.create().parse_overrides(settings)
    }

    def plain(value: object) -> object:
        return getattr(value, "text", value)

    assert plain(read["data.name"]) == name
    assert [plain(value) for value in read["data.keep"]] == keep


def table(**columns: list[object]) -> pd.DataFrame:
    rows = 60
    texts = [f"the text of the row {number}" for number in range(rows)]
    return pd.DataFrame({"body": texts, "stars": [n % 5 + 1 for n in range(rows)], **columns})


CUSTOMERS = [f"c{number % 13}" for number in range(60)]
DAYS = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d").tolist()


def test_the_parameters_follow_from_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table().to_csv(path, index=False)
    assert parameters_for(inspect(path), "t") == {"data.name": "t"}
    both = table(id=list(range(60)), day=DAYS, customer=CUSTOMERS)
    both.to_csv(path, index=False)
    facts = inspect(path)
    assert parameters_for(facts, "t") == {
        "data.name": "t",
        "data.keep": ["id", "day"],
        "split.method": "group",
        "split.column": "customer",
    }
    [group, time] = column_notes(facts)
    assert group.startswith("Column 'customer' has values that come back.")
    assert time.endswith("set split.method=time and split.column=day.")
    both.loc[0, "stars"] = None
    both.assign(fold=["train", "dev", "test"] * 20).to_csv(path, index=False)
    chosen = parameters_for(inspect(path), "t")
    assert chosen["data.missing"] == "drop"
    assert (chosen["split.method"], chosen["split.column"]) == ("given", "fold")
    pd.concat([table(), table()]).to_csv(path, index=False)
    assert parameters_for(inspect(path), "t")["split.method"] == "hash"


def test_what_another_data_set_left_is_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"text": "review", "label": "stars", "keep": ["id"], "missing": "drop"}
    params["data"] |= {"revision": "0" * 40, "config": "en"}
    params["split"] |= {"method": "group", "column": "customer"}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert command({"data.name": "t"}) == (
        "dvc exp run -S data.name=t -S data.revision=null -S data.config=null -S 'data.keep=[]' "
        "-S data.missing=refuse -S split.method=shuffle -S split.column=null"
    )
    assert "-S data.text=null" in command({"data.name": "t", "data.keep": ["review"]})
    same = {"data.name": "t", "data.keep": ["id"], "data.text": "review", "data.label": "stars"}
    same |= {"data.missing": "drop", "split.method": "group", "split.column": "customer"}
    same |= {"data.revision": "0" * 40, "data.config": "en"}
    assert command(same) == "dvc exp run -S data.name=t"


@pytest.mark.parametrize(
    ("others", "found"),
    [
        (("valid.csv", "test.csv"), True),
        (("test.jsonl",), True),
        (("test.csv", "test.jsonl"), False),
        (("valid.csv",), False),
        ((), False),
    ],
)
def test_files_of_parts_are_found(others: tuple[str, ...], found: bool, tmp_path: Path) -> None:
    path = tmp_path / "Train.csv"
    table().to_csv(path, index=False)
    for name in others:
        (tmp_path / name).write_text("")
    facts = inspect(path)
    assert len(parts_next_to(facts)) == (1 + len(others) if found else 0)
    assert parameters_for_parts(facts, "data/own/x") == {
        "data.name": "data/own/x",
        "data.text": "body",
        "data.label": "stars",
        "split.method": "given",
    }
    assert (column_notes(facts) != []) == found
    assert column_notes(facts, has_parts=True) == []


@pytest.mark.parametrize(
    ("scale", "alone"),
    [
        (Scale([1, 2]), True),
        (Scale(["0.5", 1]), True),
        (Scale(["0.25", 1]), False),
        (Scale(["low", "high"]), False),
        (Scale([1, 2], {"x": 1}), False),
        (Scale([1, 2], bins=[0, 1, 2]), False),
        (None, False),
    ],
)
def test_only_numbers_need_no_entry(scale: Scale | None, alone: bool) -> None:
    assert needs_no_entry(scale) is alone
