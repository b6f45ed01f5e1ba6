"""The catalog: the committed file, and a plain message for each mistake."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ordinal.common.errors import UserError
from ordinal.sources.catalog import load_catalog
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [1]}, "data.coursera.labels is [1]: it must be a list of 2 or more"),
        ({"labels": [1, None]}, "data.coursera.labels: YAML reads a label as None"),
        ({"labels": [1, "1.0"]}, "data.coursera: labels contains a class twice"),
        ({"labels": "12345"}, "data.coursera.labels is '12345': it must be a list"),
        ({"sources": ["https://a/"]}, "data.coursera: source 'https://a/' is a folder"),
        ({"checksum": None}, "data.coursera: give a checksum (sha256:… or git-blob:…)"),
        ({"checksum": "md5:1"}, "data.coursera.checksum is 'md5:1': it must be of the form ^(sha"),
        ({"synthetic": "perhaps"}, "data.coursera.synthetic is 'perhaps': it must be true or fal"),
        ({"text": None}, "data.coursera.text is null: it must be text"),
        ({"txt": "review"}, "data.coursera.txt is not a known key"),
    ],
)
def test_a_mistake_in_an_entry_is_reported_with_its_key(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    content = yaml.safe_load((ROOT / "data/catalog.yaml").read_text(encoding="utf-8"))
    content["data"]["coursera"] |= change
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UserError) as raised:
        load_catalog(path)
    assert str(raised.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is null: it must be a mapping of keys to values"),
        ("data: {}", "encoders is missing"),
        ("data: {mine: null}", "data.mine is null: it must be a mapping of keys to values"),
        ("data: 3", "data is 3: it must be a mapping of keys to values"),
        ("data: {mine: {}}", "data.mine.licence is missing"),
    ],
)
def test_a_malformed_catalog_is_reported(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        load_catalog(path)
    assert str(raised.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("map: {}", "mine.map"),
        ("map: {x: 3}", "map: 'x' means '3', which is not one of labels"),
        ("map: {'': 1}", "map has an empty spelling"),
        ("map: {' ': 1}", "map has an empty spelling"),
        ("map: {'7': 1, '7.0': 2}", "map has the spelling '7' twice"),
        ("map: {x: 1, x: 2}", "'x' is there twice"),
        ("map: {'2.0': 1}", "map: '2' is one of labels already"),
        ("map: {yes: 1}", "YAML reads a label as True: put it in quotes"),
        ("map: {4.5: 1}", "YAML reads a label as 4.5: put it in quotes"),
        ("map: [x]", "mine.map"),
        ("bins: [0, 5]", "bins has 2 edges: 2 labels need 3"),
        ("bins: [0, 5, 5]", "bins must ascend"),
        ("bins: [0, 5, '9']", "mine.bins"),
        ("bins: [0, 5, .inf]", "mine.bins"),
        ("bins: [0, 5, .nan]", "mine.bins"),
        ("costs: [[0, 1, 2], [1, 0, 1], [2, 1, 0]]", "costs has 3 rows and columns, but the data"),
        ("costs: [[0, 1], [10, 0, 1]]", "row 2 has 3 numbers, but there are 2 rows"),
        ("costs: [[0, 1], ['10', 0]]", "mine.costs.1.0 is '10': it must be a number"),
    ],
)
def test_a_wrong_map_wrong_bins_or_costs_are_refused(
    entry: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(
        "data:\n  mine:\n    sources: [r.csv]\n    allow_unpinned: true\n    text: a\n"
        "    label: b\n    labels: [1, 2]\n    licence: MIT\n    origin: me\n"
        f"    {entry}\nencoders: {{}}\n"
    )
    with pytest.raises(UserError) as raised:
        load_catalog(path)
    assert message in str(raised.value)


def test_a_map_and_bins_are_read(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(
        "data:\n  mine:\n    sources: [r.csv]\n    allow_unpinned: true\n    text: a\n"
        "    label: b\n    labels: [low, high]\n    licence: MIT\n    origin: me\n"
        "    map: {4 stars: high, 1: low, 18_24: low}\n    bins: [0, 2.5, 5]\nencoders: {}\n"
    )
    entry = load_catalog(path).data["mine"]
    assert entry.map == {"4 stars": "high", 1: "low", "18_24": "low"}
    assert entry.bins == [0, 2.5, 5]
