"""Servers on this machine: S3, and none."""

import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Bucket:
    """The bucket `stays` of an S3 server on this machine."""

    client: Any
    url: str

    def put(self, content: bytes, key: str = "reviews.csv") -> str:
        self.client.put_object(Bucket="stays", Key=key, Body=content)
        return f"s3://stays/{key}"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    import boto3
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    (tmp_path / "aws").touch()
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    env = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.fspath(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": os.fspath(tmp_path / "aws"),
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="stays")
        yield Bucket(client, env["AWS_ENDPOINT_URL"])
    finally:
        server.stop()


@pytest.fixture
def closed_port() -> Iterator[str]:
    """The URL of a port of this machine that refuses connections."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}"
