"""The commands in docs/data-reference.md for the hub and a bucket, with servers of our own."""

import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ordinal.common.files import read_json
from tests.conftest import ROOT, WORDS, console_commands, run_as_shown
from tests.hub import DataSet, as_parquet
from tests.loopback import serving

PAGE = "docs/data-reference.md"
GUIDE = "docs/own-data.md"
STARS = ["1 star", "2 star", "3 stars", "4 stars", "5 stars"]
README = b"""---
license: other
configs:
- config_name: yelp_review_full
  default: true
  data_files:
  - {split: train, path: yelp_review_full/train-*}
  - {split: test, path: yelp_review_full/test-*}
---
"""


def shell_commands(heading: str) -> list[str]:
    """Return the commands in the `shell` blocks of a section of the page."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return "".join(re.findall(r"```shell\n(.*?)```", section, re.S)).splitlines()


@pytest.mark.slow
def test_the_data_set_of_the_hub(small_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [command] = shell_commands("Data sets of the hub")
    [name] = re.findall(r"data.name=hub:(\S+)", command)
    [commit] = re.findall(r"data.revision=(\w{40}) ", command)
    files = {"README.md": README}
    for part, rows in {"train": 80, "test": 40}.items():
        reviews = [(f"a {WORDS[row % 5]} {part} {row}", row % 5) for row in range(rows)]
        file = f"yelp_review_full/{part}-00000-of-00001.parquet"
        files[file] = as_parquet(reviews, STARS)
    with serving() as server:
        DataSet(server, name).publish(files, commit)
        hub = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*", "no_proxy": "*"}
        for variable, value in hub.items():
            monkeypatch.setenv(variable, value)
        run_as_shown(small_project, command)
    facts = read_json(small_project / "data/raw/facts.json")
    assert (facts["rows"], facts["labels"]) == (120, STARS)
    assert read_json(small_project / "metrics/details.json")["data"]["name"] == name


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a bucket on this machine, which the environment leads to."""
    (tmp_path / "aws").touch()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    try:
        boto3.client("s3").create_bucket(Bucket="support")
        yield "support"
    finally:
        server.stop()


@pytest.mark.slow
def test_the_table_in_a_bucket(small_project: Path, bucket: str) -> None:
    for command in console_commands(GUIDE):
        if command.startswith(("python - ", "ordinal new-data data/own/tickets.csv --licence")):
            run_as_shown(small_project, command)
    table = small_project / "data/own/tickets.csv"
    boto3.client("s3").upload_file(str(table), bucket, "tickets.csv")
    table.unlink()
    for command in shell_commands("Remote tables"):
        run_as_shown(small_project, command)
    facts = read_json(small_project / "data/raw/facts.json")
    assert (facts["rows"], facts["labels"]) == (1000, ["low", "medium", "high", "critical"])
    assert (small_project / "models/ordinal/model.safetensors").is_file()
