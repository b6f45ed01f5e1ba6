"""Reading params.yaml: types, and a plain message for each mistake."""

from pathlib import Path

import pytest
import yaml

from ordinal.common.errors import UserError
from ordinal.common.params import SECTIONS, Data, Split, Train
from tests.conftest import ROOT


def write(path: Path, **changes: object) -> Path:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name, value in changes.items():
        section, key = name.split("__")
        content[section][key] = value
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_committed_file_sets_every_parameter() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    fields = {name: set(section.model_fields) for name, section in SECTIONS.items()}
    assert {name: set(section) for name, section in content.items()} == fields


@pytest.mark.parametrize("written", ["3e-05", "3e-5", 3e-5])
def test_a_learning_rate_that_yaml_reads_as_text_is_a_number(
    written: object, tmp_path: Path
) -> None:
    path = write(tmp_path / "params.yaml", train__lr=written)
    assert Train.load(path).lr == 3e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train__lrr": 1}, "train.lrr is not a parameter; did you mean lr?"),
        ({"split__zzz": 1}, "split.zzz is not a parameter; known are method, column,"),
        ({"split__test": 0.3}, "split: train, validation and test add up to 1.1: make it 1"),
        ({"train__lr": "fast"}, "train.lr is 'fast': it must be a number"),
        ({"train__lr": None}, "train.lr is null: it must be a number"),
        ({"train__lr": [1, 2]}, "train.lr is [1, 2]: it must be a number"),
        ({"train__lr": True}, "train.lr is true: no parameter is true or false"),
        ({"train__lr": 0}, "train.lr is 0: it must be greater than 0"),
        ({"train__lr": float("nan")}, "train.lr is nan: it must be a finite number"),
        ({"train__warmup": -0.1}, "train.warmup is -0.1: it must be at least 0"),
        ({"train__warmup": 1}, "train.warmup is 1: it must be less than 1"),
        ({"train__layer_decay": 1.5}, "train.layer_decay is 1.5: it must be at most 1"),
        ({"train__seed": 1 << 32}, "train.seed is 4294967296: it must be less than 4294967296"),
        ({"train__epochs": 1.5}, "train.epochs is 1.5: it must be a whole number"),
        ({"train__epochs": "two"}, "train.epochs is 'two': it must be a whole number"),
        ({"train__epochs": "1" * 5000}, "11': it must be a whole number of fewer digits"),
        ({"train__decode": "max"}, "train.decode is 'max': it must be 'median', 'mean', "),
        ({"data__name": 7}, "data.name is 7: it must be text"),
        ({"data__costs": 3}, "data.costs is 3: it must be a list"),
        ({"data__costs": [[0]]}, "data.costs is [[0]]: it must be a list of 2 or more"),
        ({"data__costs": [[0, 1], [1]]}, "data.costs: row 2 has 1 numbers, but there are 2 rows"),
        ({"data__costs": [[0, -1], [1, 0]]}, "data.costs.0.1 is -1: it must be at least 0"),
        (
            {"data__costs": [[0, float("inf")], [1, 0]]},
            "data.costs.0.1 is inf: it must be a finite number",
        ),
        ({"data__costs": [[0, True], [1, 0]]}, "data.costs.0.1 is true: it must be a number"),
        (
            {"data__costs": [[0, 1], [1, 2]]},
            "data.costs: row 2 has 2 on the diagonal: the right label costs 0",
        ),
        ({"data__text": "a", "data__label": "a"}, "'a' can't be both the text and the label"),
    ],
)
def test_a_mistake_is_reported_with_its_parameter(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as raised:
        SECTIONS[next(iter(change)).split("__")[0]].load(write(tmp_path / "params.yaml", **change))
    assert message in str(raised.value)


def test_a_file_that_is_missing_or_not_yaml_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError, match=r"params\.yaml is missing"):
        Data.load(path)
    path.write_text("data: [")
    with pytest.raises(UserError, match="is not valid YAML"):
        Data.load(path)
    path.write_text("")
    with pytest.raises(UserError, match="has no sections: it must contain data, model, split"):
        Data.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data: {name: demo}", "section split is missing: set its parameters (method, column, "),
        ("split:", "section split is empty: set its parameters (method, column, seed, "),
        ("split: null", "section split is empty: set its parameters (method, column, seed, "),
        ("split: 7", "section split is 7: set its parameters (method, column, seed, "),
        ("split: [1, 2]", "section split is [1, 2]: set its parameters (method, column, seed, "),
        ("split: {}\ntrian: {}", "trian is not a section; did you mean train?"),
        ("split: {}\n1: {}", "1 is not a section; known are data, model, split"),
        ("split: {1: 2}", "split.1 is not a parameter; known are method, column"),
    ],
)
def test_a_missing_or_malformed_section_is_reported(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        Split.load(path)
    assert message in str(raised.value)


def test_a_stage_does_not_validate_the_sections_of_others(tmp_path: Path) -> None:
    path = write(tmp_path / "params.yaml", train__lr="fast")
    assert Split.load(path).method == "shuffle"
