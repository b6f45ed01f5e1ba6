"""Rows with a wide interval get no label, in every form of the output."""

import io
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

import ordinal
from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.distributions.conformal import nonconformity_scores
from ordinal.reporting.terminal import predictions_table
from tests.conftest import WORDS, run_in
from tests.tiny import scores_of

ROWS = 40
WIDTH = 2
OPTIONS = ("--abstain-above", "2")
PROBABILITIES = [f"p_{word}" for word in WORDS]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    draw = random.Random(0)
    words = ["room", "bed", "staff", "the", "was", *WORDS]
    return [" ".join(draw.choices(words, k=draw.randint(1, 12))) for _ in range(ROWS)]


@pytest.fixture(scope="module")
def model(tiny_model: Path, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose interval has at least three labels for half of the texts."""
    folder = tmp_path_factory.mktemp("model") / "model"
    shutil.copytree(tiny_model, folder)
    chances = [[*one.probabilities.values()] for one in ordinal.load(tiny_model).predict(texts)]
    third = np.sort(nonconformity_scores(np.array(chances)), axis=1)[:, WIDTH]
    calibration = read_json(folder / "calibration.json")
    scores = scores_of([float(np.median(third))] * 20, len(WORDS))
    write_json(folder / "calibration.json", calibration | {"scores": scores})
    return folder


@pytest.fixture(scope="module")
def expected(model: Path, texts: list[str]) -> pd.DataFrame:
    """Each row's own label, its interval, and its label with abstention, from a plain loop."""
    rows = []
    for one in ordinal.load(model).predict(texts):
        width = WORDS.index(one.high) - WORDS.index(one.low) + 1
        label = one.label if width <= WIDTH else None
        rows.append((one.label, one.low, one.high, *one.probabilities.values(), label))
    columns = ["own", "low", "high", *PROBABILITIES, "label"]
    table = pd.DataFrame(rows, columns=columns).astype({"label": object})
    assert 0 < table["label"].isna().sum() < ROWS
    return table


def abstentions(expected: pd.DataFrame) -> str:
    return f"rows without a label: {expected['label'].isna().sum()} (more than 2 in their interval)"


def predict(folder: Path, model: Path, *options: str) -> str:
    """Run the command on t.csv, which has to succeed, and return what it prints on stderr."""
    command = ("ordinal", "predict", "t.csv", "--text", "review", "--model", str(model))
    run = run_in(folder, *command, *OPTIONS, *options)
    assert run.returncode == 0, run.stderr
    return run.stderr


def test_the_label_is_none_in_python(model: Path, texts: list[str], expected: pd.DataFrame) -> None:
    sure = ordinal.load(model, abstain_above=WIDTH).predict(texts)
    all_ = ordinal.load(model).predict(texts)
    for one, other, label in zip(sure, all_, expected["label"], strict=True):
        assert one.label == (None if pd.isna(label) else label)
        assert replace(one, label=other.label) == other


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "csv": pd.read_csv,
    "jsonl": lambda path: pd.DataFrame(map(json.loads, path.read_text().splitlines())),
    "parquet": pd.read_parquet,
}


@pytest.mark.parametrize("ending", READERS)
def test_the_label_is_empty_in_a_table(
    ending: str, model: Path, texts: list[str], expected: pd.DataFrame, tmp_path: Path
) -> None:
    pd.DataFrame({"review": [*texts, " "]}).to_csv(tmp_path / "t.csv", index=False)
    said = predict(tmp_path, model, "--keep-going", "--out", f"out.{ending}")
    # A row without a text is not counted.
    assert said.splitlines()[-1] == abstentions(expected)
    found = READERS[ending](tmp_path / f"out.{ending}")
    assert found["label"].isna().tolist() == [*expected["label"].isna(), True]
    is_kept = expected["label"].notna()
    assert found["label"][:ROWS][is_kept].tolist() == expected["label"][is_kept].tolist()
    for name in ("low", "high"):
        assert found[name][:ROWS].tolist() == expected[name].tolist()
    chances = found.loc[: ROWS - 1, PROBABILITIES].to_numpy()
    assert chances == pytest.approx(expected[PROBABILITIES].to_numpy(), abs=1e-5)


def test_a_table_in_which_no_row_gets_a_label(model: Path, tmp_path: Path) -> None:
    pd.DataFrame({"review": ["the room", "the bed"]}).to_csv(tmp_path / "t.csv", index=False)
    options = ("--coverage", "0.99", "--abstain-above", "4", "--out")
    for out in ("out.csv", "out.jsonl", "out.parquet", "folder"):
        said = predict(tmp_path, model, *options, out)
        assert said == "rows without a label: 2 (more than 4 in their interval)\n"
    assert pd.read_parquet(tmp_path / "out.parquet")["label"].dtype == "str"
    assert pd.read_parquet(tmp_path / "folder")["label"].isna().all()
    first = (tmp_path / "out.csv").read_text().splitlines()[1]
    assert first.startswith("1,,awful,superb,")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["label"] is None


def test_the_label_is_empty_in_a_folder_and_a_second_run_agrees(
    model: Path, texts: list[str], expected: pd.DataFrame, tmp_path: Path
) -> None:
    pd.DataFrame({"review": [*texts, " "]}).to_csv(tmp_path / "t.csv", index=False)
    for _ in range(2):
        assert predict(tmp_path, model, "--out", "out") == abstentions(expected) + "\n"
    found = pd.read_parquet(tmp_path / "out")
    labels = found["label"].astype(object).where(found["label"].notna(), None)
    assert labels.tolist() == expected["label"].where(expected["label"].notna(), None).tolist()
    assert found[["low", "high"]].to_numpy().tolist() == expected[["low", "high"]].values.tolist()


def test_a_folder_with_another_width_is_refused(
    model: Path, texts: list[str], tmp_path: Path
) -> None:
    pd.DataFrame({"review": texts}).to_csv(tmp_path / "t.csv", index=False)
    predict(tmp_path, model, "--out", "out")
    command = ("ordinal", "predict", "t.csv", "--text", "review", "--model", str(model))
    for options in ((), ("--abstain-above", "3")):
        run = run_in(tmp_path, *command, "--out", "out", *options)
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr == (
            "error: --out out has predictions with another --abstain-above: choose another folder, "
            "or delete this one\n"
        )


def test_a_folder_from_before_the_option_is_continued(
    model: Path, texts: list[str], tmp_path: Path
) -> None:
    pd.DataFrame({"review": texts}).to_csv(tmp_path / "t.csv", index=False)
    command = ("ordinal", "predict", "t.csv", "--text", "review", "--model", str(model))
    assert run_in(tmp_path, *command, "--out", "out").returncode == 0
    manifest = tmp_path / "out/_manifest.json"
    settings = json.loads(manifest.read_text())
    assert settings.pop("abstain_above", "missing") is None
    manifest.write_text(json.dumps(settings))
    run = run_in(tmp_path, *command, "--out", "out")
    assert run.stdout.startswith("0 rows predicted, 40 skipped"), run.stderr


def test_the_label_is_empty_in_explanations(
    model: Path, texts: list[str], expected: pd.DataFrame, tmp_path: Path
) -> None:
    row = int(expected["label"].isna().idxmax())
    command = ("ordinal", "predict", texts[row], "--model", str(model), "--explain")
    said = "rows without a label: 1 (more than 2 in their interval)\n"
    run = run_in(tmp_path, *command, *OPTIONS)
    assert (run.returncode, run.stderr) == (0, said)
    assert run.stdout.startswith(f"no label, interval {expected['low'][row]} to ")
    run = run_in(tmp_path, *command, *OPTIONS, "--json")
    assert (run.returncode, run.stderr) == (0, said)
    assert json.loads(run.stdout)["label"] is None


def test_the_label_is_empty_on_a_terminal(
    model: Path, texts: list[str], expected: pd.DataFrame
) -> None:
    row = int(expected["label"].isna().idxmax())
    predictions = ordinal.load(model, abstain_above=WIDTH).predict([texts[row]])
    console = Console(width=120, file=io.StringIO())
    console.print(predictions_table([texts[row]], predictions))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    [line] = [line for line in shown.splitlines() if texts[row][:10] in line]
    assert line.split("│")[2].strip() == ""
    assert line.split("│")[3].split() == [expected["low"][row], "to", expected["high"][row]]


@pytest.mark.parametrize("width", [-1, 0, 5, 6])
def test_a_width_that_always_or_never_abstains_is_refused(
    width: int, model: Path, tmp_path: Path
) -> None:
    message = f"abstain-above is {width}: it has to be at least 1 and below the number of labels, 5"
    with pytest.raises(UserError) as raised:
        ordinal.load(model, abstain_above=width)
    assert str(raised.value) == message
    (tmp_path / "t.csv").write_text("review\ngood room\n")
    command = ("ordinal", "predict", "t.csv", "--text", "review", "--model", str(model))
    for options in (("--out", "out.csv"), ("--out", "out"), ("--explain",)):
        run = run_in(tmp_path, *command, *options, "--abstain-above", str(width))
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr == f"error: {message}\n"
