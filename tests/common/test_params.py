"""params.yaml: numbers arrive as numbers, and every mistake is named."""

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


def test_every_field_stands_in_the_committed_file_so_that_every_field_can_be_set() -> None:
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
        ({"split__zzz": 1}, "split.zzz is not a parameter; known are method, seed,"),
        ({"train__lr": "fast"}, "train.lr is 'fast': input should be a valid number"),
        ({"train__lr": 0}, "train.lr is 0: input should be greater than 0"),
        ({"train__lr": float("nan")}, "train.lr is nan: input should be a finite number"),
        ({"train__epochs": 1.5}, "train.epochs is 1.5: input should be a valid integer"),
        ({"split__test": 0.3}, "split: train, validation and test add up to 1.1: make it 1"),
        ({"train__decode": "max"}, "train.decode is 'max': input should be 'median', 'mean' or"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as raised:
        SECTIONS[next(iter(change)).split("__")[0]].load(write(tmp_path / "params.yaml", **change))
    assert message in str(raised.value)


def test_a_file_that_is_missing_or_no_yaml_is_named(tmp_path: Path) -> None:
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
        ("data: {name: demo}", "section split is missing: it must contain method, seed, train"),
        ("split:", "section split is missing: it must contain method, seed, train"),
        ("split: 7", "section split is 7: it must contain method, seed, train"),
        ("split: {}\ntrian: {}", "trian is not a parameter; did you mean train?"),
    ],
)
def test_a_section_that_is_missing_or_no_section_is_named(
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
