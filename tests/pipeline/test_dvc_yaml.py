"""dvc.yaml matches the code: packages, parameters, paths and metrics; the committed results."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from ordinal.common import paths
from ordinal.common.params import SECTIONS, Train
from tests.conftest import ROOT, set_params
from tests.imports import code_behind

STAGES = ("download", "pretrained", "split", "tokenize", "baseline", "train", "evaluate", "card")
USES_TORCH = ("train", "evaluate")

# Modules that take a tenth of a second or more to import, and the stages without torch that use
# them.
HEAVY = {"datasets", "huggingface_hub", "lightning", "matplotlib", "pandas", "requests", "scipy"}
HEAVY |= {"sklearn", "torch", "transformers"}
LIGHT_STAGES = {
    "download": {"pandas", "requests"},
    "pretrained": {"requests"},
    "split": set(),
    "tokenize": set(),
    "baseline": {"pandas", "scipy", "sklearn"},
    "card": set(),
}

# For each key of params.yaml another value, and the stages that read it.
KEYS: dict[str, tuple[object, set[str]]] = {
    "data.name": ("tripadvisor", {"download"}),
    "data.revision": ("c" * 40, {"download"}),
    "data.config": ("reviews", {"download"}),
    "data.text": ("review", {"download"}),
    "data.label": ("stars", {"download"}),
    "data.keep": (["id"], {"download"}),
    "data.missing": ("drop", {"download"}),
    "data.costs": ([[0, 1], [10, 0]], {"download"}),
    "model.name": ("distilbert", {"pretrained", "card"}),
    "model.revision": ("0" * 40, {"pretrained", "card"}),
    "split.method": ("hash", {"split", "card"}),
    "split.column": ("customer", {"download", "split", "card"}),
    "split.seed": (2, {"split", "card"}),
    "split.train": (0.6, {"split", "card"}),
    "split.validation": (0.2, {"split", "card"}),
    "split.test": (0.3, {"split", "card"}),
    "split.fold": ("2/5", {"split", "card"}),
    "tokenize.max_length": (64, {"tokenize", "card"}),
    "tokenize.truncation": ("head_tail", {"tokenize", "card"}),
    "train.loss": ("emd", {"train", "card"}),
    "train.class_weights": ("balanced", {"train", "card"}),
    "train.decode": ("mode", {"baseline", "train", "card"}),
    "train.seed": (2, {"train", "card"}),
    "train.epochs": (1, {"train", "card"}),
    "train.patience": (2, {"train", "card"}),
    "train.batch_size": (8, {"train", "card"}),
    "train.accumulate": (2, {"train", "card"}),
    "train.lr": (3e-5, {"train", "card"}),
    "train.layer_decay": (0.9, {"train", "card"}),
    "train.warmup": (0.2, {"train", "card"}),
    "train.schedule": ("cosine", {"train", "card"}),
    "train.weight_decay": (0.1, {"train", "card"}),
    "train.clip": (0.5, {"train", "card"}),
    "train.attention_dropout": (0.1, {"train", "card"}),
    "train.activation_checkpointing": ("layers", {"train", "card"}),
    "train.lora_rank": (8, {"train", "card"}),
    "train.precision": ("32-true", {"train", "evaluate", "card"}),
    "train.accelerator": ("cpu", {"train", "evaluate", "card"}),
    "train.devices": (2, {"train", "card"}),
    "train.num_nodes": (2, {"train", "card"}),
    "train.strategy": ("fsdp", {"train", "card"}),
    "train.checkpoint_every": (50, {"train", "card"}),
    "train.logger": ("csv", {"card"}),  # changes no output
    "evaluate.resamples": (200, {"evaluate", "card"}),
    "evaluate.coverage": (0.8, {"evaluate", "card"}),
    "evaluate.coverage_by": ("label", {"evaluate", "card"}),
    "evaluate.interval": ("shortest", {"evaluate", "card"}),
}


# Stages that depend on single keys of a section; a test below checks that they read no other.
KEYS_READ = {
    ("train", "train"): set(Train.model_fields) - {"logger"},
    ("download", "split"): {"column"},
    ("baseline", "train"): {"decode"},
    ("evaluate", "train"): {"accelerator", "precision"},
}


def declared(stage: str) -> dict[str, list[str]]:
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return content["stages"][stage]


def outputs(*kinds: str) -> list[str]:
    """Return the paths of all outputs of these kinds (outs, metrics)."""
    entries = [
        entry for stage in STAGES for kind in kinds for entry in declared(stage).get(kind, [])
    ]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def committed_metrics() -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((ROOT / paths.METRICS).read_text(encoding="utf-8"))
    return metrics


def test_the_stages_are_those_of_the_folder() -> None:
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert tuple(content["stages"]) == STAGES
    assert {path.stem for path in (ROOT / "stages").glob("[!_]*.py")} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_packages_it_imports(stage: str) -> None:
    code = {path for path in declared(stage)["deps"] if path.startswith(("ordinal", "stages"))}
    assert code == code_behind(stage)


def test_the_outputs_are_those_of_the_paths_module() -> None:
    constants = {
        *(paths.RAW, paths.PRETRAINED, paths.SPLIT, paths.TOKENIZED, paths.PREDICTIONS),
        *(paths.MODEL, paths.METRICS, paths.DETAILS, paths.MODEL_CARD),
        *(paths.SPLIT_COUNTS, paths.TOKEN_COUNTS, paths.BASELINE),
    }
    tables = {path for path in outputs("outs", "metrics") if path.startswith("metrics/plots/")}
    assert set(outputs("outs", "metrics")) - tables == {path.as_posix() for path in constants}
    assert {Path(path).parent for path in tables} == {paths.PLOTS}


def test_no_file_is_an_output_or_a_metric_twice() -> None:
    declared_outputs = outputs("outs", "metrics")
    assert len(declared_outputs) == len(set(declared_outputs))
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    assert "metrics" not in content  # at the top level, it would declare them once more
    assert outputs("metrics") == [paths.METRICS.as_posix()]


def test_the_metrics_are_few_and_short() -> None:
    numbers = list(leaves(committed_metrics()))
    assert len(numbers) <= 20
    assert all(number is None or number == round(number, 4) for number in numbers)


def leaves(tree: dict[str, Any]) -> Iterator[float | None]:
    for value in tree.values():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield value


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_exactly_the_parameters_it_reads(stage: str) -> None:
    """Find `Section.load()` in the source: the whole section, or the keys in KEYS_READ."""
    tree = ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))
    read: set[str] = set()
    for node in ast.walk(tree):
        name = ast.unparse(node).removesuffix(".load()")
        if isinstance(node, ast.Call) and name.lower() in SECTIONS:
            keys = KEYS_READ.get((stage, name.lower()))
            read |= {f"{name.lower()}.{key}" for key in keys} if keys else {name.lower()}
    assert set(declared(stage)["params"]) == read


def test_a_stage_that_reads_single_keys_of_a_section_reads_no_other() -> None:
    for (stage, section), keys in KEYS_READ.items():
        if stage == section:
            continue  # it reads all keys of its own section
        source = (ROOT / f"stages/{stage}.py").read_text(encoding="utf-8")
        load = f"{section.capitalize()}.load()"
        assert source.count(load) == 1
        assert (
            set(re.findall(rf"(?:\b{section}|{re.escape(load)})\.(\w+)", source)) - {"load"} == keys
        )


@pytest.mark.parametrize("stages", [*((stage,) for stage in LIGHT_STAGES), USES_TORCH])
def test_a_stage_imports_only_declared_packages_and_no_unused_heavy_module(
    stages: tuple[str, ...],
) -> None:
    code = f"import sys, {', '.join(f'stages.{stage}' for stage in stages)}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    if stages == USES_TORCH:
        assert "torch" in loaded
    else:
        assert loaded & HEAVY == LIGHT_STAGES[stages[0]]
    ours = {"/".join(name.split(".")[:2]) for name in loaded if name.startswith("ordinal.")}
    assert ours <= set().union(*map(code_behind, stages))


def test_the_table_below_names_every_parameter() -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert set(KEYS) == {f"{section}.{key}" for section in content for key in content[section]}


def test_every_parameter_reruns_the_stages_that_read_it_and_no_other(project: Path) -> None:
    def changed_params() -> set[str]:
        """Return the stages whose parameters differ from those in dvc.lock."""
        with Repo(project) as repo:
            return {
                stage.split(":")[-1]
                for stage, changes in repo.status().items()
                for change in changes
                if isinstance(change, dict) and "params.yaml" in change.get("changed deps", {})
            }

    before = (project / "params.yaml").read_text(encoding="utf-8")
    assert changed_params() == set()
    values = yaml.safe_load(before)
    for key, (value, stages) in KEYS.items():
        section, name = key.split(".")
        assert values[section][name] != value, key
        set_params(project, {key: value})
        assert changed_params() == stages, key
        (project / "params.yaml").write_text(before, encoding="utf-8")


def test_the_committed_results_are_those_of_the_committed_code_and_parameters(
    project: Path,
) -> None:
    """In a fresh clone, no dependency or result that git tracks differs from dvc.lock."""
    with Repo(project) as repo:
        status = repo.status()
    differ = {
        f"{stage}: {path}"
        for stage, changes in status.items()
        for change in changes
        if isinstance(change, dict)
        for path, how in change.get("changed deps", {}).items()
        if how != "deleted"  # outputs of a pipeline that has not run here
    }
    assert differ == set()
    outs = {
        path: how
        for changes in status.values()
        for change in changes
        if isinstance(change, dict)
        for path, how in change.get("changed outs", {}).items()
        if path.startswith("metrics/")
    }
    assert outs == {}


def test_the_committed_model_beats_tfidf_and_tfidf_the_median() -> None:
    metrics = committed_metrics()
    baselines = metrics["baseline"]
    assert metrics["test"]["mae"] < baselines["tfidf"]["mae"] < baselines["median"]["mae"]
