"""Each step of the GPU benchmark runs on the CPU at tiny sizes, and what it computes is right."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import compilation, corn, memory, prediction, recipe, speed, stage
from benchmarks.gpu.record import TINY, Record, Sizes, rehearsal
from benchmarks.gpu.shape import save_shape

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def sizes(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Sizes:
    shape = tmp_path_factory.mktemp("shape")
    save_shape(tiny_encoder, shape, **TINY)
    return rehearsal(torch.device("cpu"), tiny_encoder, shape)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "step.json", {})


def written(record: Record) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(record.path.read_text())
    return content


def test_the_default_recipe_and_its_curves(sizes: Sizes, record: Record) -> None:
    recipe.run(sizes, record)
    found = written(record)
    assert len(found["epochs"]) == 3
    assert found["syncs"] == {}
    curves = found["curves"]
    assert len(curves["cpu fp32"]) == sizes.curve_steps
    assert curves["gpu fp32"] == curves["cpu fp32"]  # both are the CPU here


def test_a_warning_is_counted_with_the_line_that_caused_it() -> None:
    with recipe.counted_warnings() as found:
        for _ in range(3):
            warnings.warn("a  matter\nof order", stacklevel=1)
    ((text, place),) = found
    assert (text, found.total()) == ("a matter of order", 3)
    assert place.startswith("tests/benchmarks/test_gpu.py:")
    assert place.endswith("test_a_warning_is_counted_with_the_line_that_caused_it")


def test_the_speeds_are_compared(
    sizes: Sizes, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Direct(speed._Worker):
        def __enter__(self) -> speed.Call:
            return lambda function, *given: function(*given)

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(speed, "_Worker", Direct)
    speed.run(sizes, record)
    speed.share(sizes, record)
    found = written(record)
    medians = found["medians"]
    assert len(medians) == 2 * len(sizes.cells) + 1
    assert found["ratio to Trainer, hotel 12"] == pytest.approx(
        medians["ours hotel 12"] / medians["Trainer hotel 12"]
    )
    assert found["share 16"] > 0


def test_the_stage_is_timed(sizes: Sizes, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "IMPORTS", ("-c", "pass"))
    monkeypatch.setattr(stage, "TRAIN", ("-c", "print('epoch 1')"))
    stage.run(sizes, record)
    found = written(record)
    assert [line for _, line in found["output, encoder"]] == ["epoch 1"]
    assert found["seconds, encoder"] > 0


@pytest.mark.slow
def test_a_run_is_killed_and_resumed(sizes: Sizes, record: Record) -> None:
    stage.resume(sizes, record)
    found = written(record)
    assert found["killed"]
    assert found["resumed"][0].startswith("train: resumes after step ")
    assert found["first and second"] == found["first and killed"] == {}


def test_different_weights_are_described(tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("other", 1.25)):
        folder = tmp_path / name / "models/ordinal"
        folder.mkdir(parents=True)
        weights = {"a": torch.tensor([1.0]), "b": torch.tensor([value])}
        save_file(weights, folder / "model.safetensors")
        (folder / "config.json").write_text("{}")
    assert stage.compare(tmp_path / "one", tmp_path / "other") == {
        "model.safetensors": "1 of 2 tensors differ, by 0.25 at most"
    }


def test_prediction_has_the_labels_of_the_pipeline(sizes: Sizes, record: Record) -> None:
    prediction.run(sizes, record)
    assert written(record)["same label, ours fp32"] == 1


def test_both_forms_of_corn_have_the_same_value_and_gradient(sizes: Sizes, record: Record) -> None:
    logits = torch.randn(40, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.from_numpy(np.arange(40) % 5)
    values = [loss(logits, labels) for loss in corn.LOSSES.values()]
    gradients = [torch.autograd.grad(value, logits)[0] for value in values]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)
    corn.run(sizes, record)
    assert written(record)["difference"] < 1e-6


def test_compilation_is_compared(
    sizes: Sizes, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[object] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **_: compiled.append(self))
    compilation.run(sizes, record)
    assert [type(module).__name__ for module in compiled] == ["DistilBertModel"]
    assert len(written(record)["compiled"]) == compilation.EPOCHS


def test_a_failed_step_is_recorded_and_the_next_one_runs(
    tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    started: list[int] = []

    def apart(number: int, given: Any, limit: int) -> str | None:
        started.append(number)
        return "exit status 1" if number == 3 else None

    monkeypatch.setattr(gpu, "run_apart", apart)
    gpu.main(["--out", str(tmp_path), "--encoder", str(tiny_encoder), "--steps", "3,6"])
    assert started == [3, 6]
    assert json.loads((tmp_path / "step-3.json").read_text())["error"] == "exit status 1"
    facts = json.loads((tmp_path / "step-6.json").read_text())
    assert "error" not in facts
    assert facts["environment"]["torch"] == torch.__version__.partition("+")[0]


def test_an_error_is_written_with_its_traceback(
    sizes: Sizes, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gpu.STEPS, 6, gpu.Step("nothing", "nothing", "run", 1))
    assert not gpu.run_step(6, sizes, record)
    assert "No module named 'benchmarks.gpu.nothing'" in written(record)["error"]


def test_a_step_that_takes_too_long_is_stopped(tmp_path: Path, sizes: Sizes) -> None:
    given = ("--out", str(tmp_path), "--encoder", str(sizes.encoder), "--shape", "x")
    assert gpu.run_apart(6, given, 0) == "stopped after 0 s"


def test_the_memory_of_each_way_to_train_is_measured(sizes: Sizes, record: Record) -> None:
    memory.run(sizes, record)
    found = written(record)
    assert list(found) == ["plain", "checkpointing", "LoRA", "both"]
    assert all(way["seconds"] > 0 for way in found.values())
