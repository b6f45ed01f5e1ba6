"""Test the files of studies: the committed ones, values as DVC receives them, and refusals."""

from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from ordinal.common.errors import UserError
from ordinal.common.params import SECTIONS, Train
from ordinal.experiments.study import load_study
from tests.conftest import ROOT

STUDY = """\
description: Does CORN have a lower error than EMD?
metric: rps
seeds: 2
reference: corn
set:
  train.epochs: 1
variants:
  corn:
    train.loss: corn
  emd:
    train.loss: emd
"""


@pytest.fixture(autouse=True)
def _in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def write(folder: Path, text: str = STUDY) -> Path:
    path = folder / "losses.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def params_of(overrides: tuple[str, ...], folder: Path) -> Path:
    """The project's params.yaml as `dvc exp run -S` changes it."""
    path = folder / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    apply_overrides(path, list(overrides))
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_committed_studies_are_valid(path: Path, tmp_path: Path) -> None:
    for overrides in load_study(path).variants.values():
        params = params_of(overrides, tmp_path)
        for section in SECTIONS.values():
            section.load(params)


def test_results_are_those_of_a_study_and_have_its_variants() -> None:
    results = sorted((ROOT / "metrics/studies").glob("*.csv"))
    for table in results:
        study = load_study(ROOT / f"studies/{table.stem}.yaml")
        header, *rows = table.read_text(encoding="utf-8").splitlines()
        assert header.startswith("variant,mean,sd,low,high,")
        assert [row.partition(",")[0] for row in rows] == list(study.variants)
        assert f"seed_{study.seeds}" in header
        assert table.with_suffix(".svg").is_file()


def test_a_variant_sets_its_own_parameters_and_those_of_all(tmp_path: Path) -> None:
    study = load_study(write(tmp_path))
    assert (study.name, study.metric, study.seeds, study.reference) == ("losses", "rps", 2, "corn")
    assert study.variants == {
        "corn": ("train.epochs=1", "train.loss='corn'"),
        "emd": ("train.epochs=1", "train.loss='emd'"),
    }


def test_the_parameters_of_a_variant_override_those_of_all(tmp_path: Path) -> None:
    text = STUDY.replace("emd:\n", "emd:\n    train.epochs: 2\n")
    assert load_study(write(tmp_path, text)).variants["emd"][0] == "train.epochs=2"


@pytest.mark.parametrize("nothing", ["default: {}", "default:"])
def test_a_variant_may_set_nothing(nothing: str, tmp_path: Path) -> None:
    text = f"description: d\nreference: 0.1\nvariants:\n  {nothing}\n  0.1: {{train.lr: 0.1}}\n"
    study = load_study(write(tmp_path, text))
    assert study.variants == {"default": (), "0.1": ("train.lr=0.1",)}
    assert (study.metric, study.seeds) == ("mae", 5)


@pytest.mark.parametrize(
    ("parameter", "written", "value"),
    [
        ("train.lr", "5e-5", 5e-5),
        ("train.lr", "'5e-5'", 5e-5),
        ("train.lr", "1.0e-05", 1e-5),
        ("train.layer_decay", "1", 1.0),
        ("train.clip", "null", None),
        ("train.attention_dropout", "", None),
        ("train.precision", "32-true", "32-true"),
        ("train.devices", "2", 2),
        ("data.name", r"""'a, b=[c]: {d} "e" ''f'' \'""", """a, b=[c]: {d} "e" 'f' \\"""),
        ("data.text", "'null'", "null"),
        ("data.text", "'5'", "5"),
        ("data.text", "'Übung 🙂'", "Übung 🙂"),
    ],
)
def test_a_value_reaches_the_stages_as_it_is_written(
    parameter: str, written: str, value: object, tmp_path: Path
) -> None:
    text = STUDY.replace("  train.epochs: 1", f"  {parameter}: {written}")
    params = params_of(load_study(write(tmp_path, text)).variants["emd"], tmp_path)
    section, key = parameter.split(".")
    assert getattr(SECTIONS[section].load(params), key) == value
    assert Train.load(params).loss == "emd"
    # PyYAML reads 5e-05 as a string, which the stages accept as a number.
    stored = yaml.safe_load(params.read_text(encoding="utf-8"))[section][key]
    assert (stored if value is None or isinstance(value, str) else float(stored)) == value


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds:", "seed:", ": seed is not a key of a study; did you mean seeds?"),
        ("seeds: 2", "seeds: 0", ": seeds is 0: input should be greater than or equal to 1"),
        ("seeds: 2", "seeds: two", ": seeds is 'two': input should be a valid integer"),
        ("metric: rps", "metric: qwk", ": metric 'qwk' is unknown; known are mae, accuracy"),
        ("metric: rps", "metric: mea", ": metric 'mea' is unknown; did you mean mae?"),
        ("reference: corn\n", "", ": reference is missing"),
        ("reference: corn", "reference: con", ": reference 'con' is not a variant; did you mean"),
        ("reference: corn", "reference: sord", "'sord' is not a variant; known are corn, emd"),
        ("  emd:\n    train.loss: emd\n", "", ": variants: a study compares at least two"),
        (STUDY[STUDY.index("  corn:") :], "", ": variants: a study compares at least two"),
        (
            STUDY[STUDY.index("variants:") :],
            "variants: 5",
            ": variants is 5: input should be a valid dictionary",
        ),
        ("  emd:\n", "  corn:\n", ', line 10: not valid YAML: found duplicate key "corn"'),
        ("seeds: 2", "seeds: [2", ", line 4: not valid YAML: "),
        ("seeds: 2", "seeds: 0b_", " is not valid YAML: invalid literal for int()"),
        (STUDY, "- corn\n", " is not a study: it must contain description, metric"),
        (STUDY, "", " is not a study: it must contain description, metric"),
        ("train.epochs", "train.epoch", ": set.train.epoch is not a parameter; did you mean train"),
        ("train.epochs", "oops", ": set.oops is not a parameter; write parameters of params.yaml"),
        ("    train.loss: emd", "    train: {loss: emd}", "variants.emd.train is not a parameter;"),
        ("train.epochs: 1", "train.epochs: 0", ": set.train.epochs is 0: input should be greater"),
        ("train.loss: emd", "train.loss: edm", ": variants.emd.train.loss is 'edm': input should"),
        (
            "train.epochs: 1",
            "train.lr: true",
            ": set.train.lr is True: no parameter is true or false",
        ),
        ("train.epochs: 1", "split.test: 0.3", ": variants.corn.split: train, validation and test"),
        ("train.epochs: 1", "train.seed: 1", ": set.train.seed: the study sets the seeds itself"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_with_file_and_key(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert STUDY.count(old) == 1
    path = write(tmp_path, STUDY.replace(old, new))
    with pytest.raises(UserError) as refused:
        load_study(path)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused_with_a_list_of_studies() -> None:
    with pytest.raises(UserError, match=r"^losses is missing; the studies here are: .*losses.yaml"):
        load_study(Path("losses"))
