"""Predict on a Ray cluster: of two nodes, one is killed in the middle."""

import io
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pytest

import ordinal
from ordinal.prediction import folder
from tests.buckets import Bucket
from tests.conftest import WORDS, run_in

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

FILES, ROWS = 20, 1000
OBJECT_STORE = 80 << 20  # bytes, the least that Ray accepts


@pytest.fixture
def cluster(bucket: Bucket) -> Iterator["Cluster"]:  # noqa: F821
    """Two nodes on this machine with a CPU each, which find the bucket."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": OBJECT_STORE}
    with patch.dict("os.environ", {"RAY_USAGE_STATS_ENABLED": "0"}):
        cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
        try:
            cluster.add_node(**node)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            cluster.shutdown()


def reviews(number: int) -> pd.DataFrame:
    draw = random.Random(number)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 6))) for _ in range(ROWS)]
    return pd.DataFrame({"id": [f"{number}-{row}" for row in range(ROWS)], "review": texts})


@pytest.mark.slow
def test_each_row_is_predicted_once_although_a_node_is_killed(
    tiny_model: Path,
    tmp_path: Path,
    bucket: Bucket,
    cluster: "Cluster",  # noqa: F821
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tables = [reviews(number) for number in range(FILES)]
    for number, table in enumerate(tables):
        bucket.put(table.to_csv(index=False).encode(), f"many/in/{number:02}.csv")
    outcomes = 0

    def kill_after_three(*_: object) -> None:
        nonlocal outcomes
        outcomes += 1
        if outcomes == 3:
            [node] = cluster.worker_nodes
            cluster.remove_node(node, allow_graceful=False)

    monkeypatch.setattr(folder, "report_repairs", kill_after_three)
    command = ("ordinal", "predict", "s3://stays/many/in", "--text", "review", "--keep", "id")
    command += ("--model", str(tiny_model), "--out", "s3://stays/many/out")
    capfd.readouterr()
    run = run_in(tmp_path, *command, "--ray", cluster.address)
    assert (run.returncode, run.stderr) == (0, "")
    assert capfd.readouterr() == ("", "")  # nothing of Ray's
    assert run.stdout.startswith("20,000 rows predicted, 0 skipped (predicted before), 0 bad (")
    assert outcomes == FILES
    found = bucket.client.list_objects_v2(Bucket="stays", Prefix="many/out/")["Contents"]
    keys = [entry["Key"] for entry in found if entry["Key"].endswith(".parquet")]
    bodies = [bucket.client.get_object(Bucket="stays", Key=key)["Body"].read() for key in keys]
    predicted = pd.concat([pd.read_parquet(io.BytesIO(body)) for body in bodies])
    expected = pd.concat(tables).set_index("id")
    assert len(predicted) == FILES * ROWS
    assert set(predicted["id"]) == set(expected.index)
    texts = expected.loc[predicted["id"], "review"].tolist()
    alone = [prediction.label for prediction in ordinal.load(tiny_model).predict(texts)]
    assert predicted["label"].tolist() == alone
    again = run_in(tmp_path, *command, "--ray", cluster.address)
    assert again.stdout.startswith("0 rows predicted, 20,000 skipped (predicted before), 0 bad (")


def test_a_model_that_can_not_be_loaded_is_reported_before_ray_starts(
    tiny_model: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    (broken / "calibration.json").write_text("[")
    (tmp_path / "a.csv").write_text("review\ngood\n")
    command = ("ordinal", "predict", "a.csv", "--text", "review", "--model", "broken")
    run = run_in(tmp_path, *command, "--out", "out", "--ray", "local")
    assert (run.returncode, run.stdout) == (1, "")
    assert "broken/calibration.json is not valid JSON" in run.stderr
    assert run.stderr.count("\n") == 1
    assert not ray_is_running()


def ray_is_running() -> bool:
    return "ray" in sys.modules and sys.modules["ray"].is_initialized()


def test_an_address_without_a_cluster_is_refused(
    tiny_model: Path, tmp_path: Path, closed_port: str
) -> None:
    (tmp_path / "a.csv").write_text("review\ngood\n")
    command = ("ordinal", "predict", "a.csv", "--text", "review", "--model", str(tiny_model))
    address = closed_port.removeprefix("http://")
    run = run_in(tmp_path, *command, "--out", "out", "--ray", address)
    assert (run.returncode, run.stderr) == (
        1,
        f"error: --ray {address}: no cluster is running there: start one with `ray start --head`, "
        "or use --ray local\n",
    )


def test_without_ray_its_installation_is_proposed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("review\ngood\n")
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ("ordinal", "predict", "a.csv", "--text", "review", "--model", str(tiny_model))
    run = run_in(tmp_path, *command, "--out", "out", "--ray", "local")
    assert run.stderr == "error: ray is missing: install it with `pip install '.[ray]'`\n"
    assert run.returncode == 1
    assert run_in(tmp_path, *command, "--out", "out").returncode == 0  # continues without it
