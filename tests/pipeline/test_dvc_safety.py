"""DVC's remotes with this project, and two runs at once."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import environment, results_of, run_in, stages_run

SPLIT = "data/split/train.parquet"


def run(project: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    done = run_in(project, *command, **changes)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def cached(project: Path, file: str = SPLIT) -> Path:
    """Return the path of a file in DVC's cache."""
    md5 = hashlib.md5((project / file).read_bytes(), usedforsecurity=False).hexdigest()
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def damage(path: Path) -> None:
    """Flip one bit, as a failing disk may. The size and the permissions stay the same."""
    mode = path.stat().st_mode
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode)


# Remotes


@dataclass
class Storage:
    """A remote of DVC."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    client: Any = None

    def add_to(self, project: Path) -> None:
        path = project / ".dvc/config"
        settings = {"url": self.url, **self.options}
        lines = [f"    {name} = {value}\n" for name, value in settings.items()]
        config = path.read_text().replace("[core]\n", "[core]\n    remote = storage\n")
        path.write_text(f"{config}['remote \"storage\"']\n{''.join(lines)}")
        run(project, "git", "commit", "--quiet", "--all", "--message", "Storage")


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A local S3 server with an empty bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    (tmp_path / "aws").touch()
    env = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.fspath(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": os.fspath(tmp_path / "aws"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket="bucket")
        yield Storage("s3://bucket/ordinal", {"endpointurl": url}, client)
    finally:
        server.stop()


def test_a_fresh_clone_pulls_everything_and_runs_nothing(
    finished_project: Path, s3: Storage, tmp_path: Path
) -> None:
    s3.add_to(finished_project)
    run(finished_project, "dvc", "push")
    listed = s3.client.list_objects_v2(Bucket="bucket")["Contents"]
    split = cached(finished_project)
    assert f"ordinal/files/md5/{split.parent.name}/{split.name}" in [item["Key"] for item in listed]

    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", os.fspath(finished_project), os.fspath(clone))
    assert not (clone / "data/split").exists()
    run(clone, "dvc", "pull")
    assert stages_run(run(clone, "dvc", "repro").stdout) == []
    assert results_of(clone) == results_of(finished_project)
    assert run(clone, "git", "status", "--porcelain").stdout == ""


def test_a_damaged_remote_is_noticed_if_it_is_set_to_verify(
    finished_project: Path, tmp_path: Path
) -> None:
    folder = Storage(os.fspath(tmp_path / "storage"), {"verify": "true"})
    folder.add_to(finished_project)
    before = results_of(finished_project)
    run(finished_project, "dvc", "push")
    name = cached(finished_project).relative_to(finished_project / ".dvc/cache")
    damage(Path(folder.url) / name)
    shutil.rmtree(finished_project / ".dvc/cache")
    shutil.rmtree(finished_project / "data/split")

    pulled = run_in(finished_project, "dvc", "pull")
    assert pulled.returncode != 0
    assert "data/split" in pulled.stderr
    assert not (finished_project / "data/split").exists()
    assert stages_run(run(finished_project, "dvc", "repro").stdout) == ["split"]
    assert results_of(finished_project) == before


# Two runs at once


def test_of_two_runs_at_once_the_second_names_the_process_of_the_first(
    finished_project: Path, tmp_path: Path
) -> None:
    before = results_of(finished_project)
    go = tmp_path / "go"
    waiting = tmp_path / "bin/python"
    waiting.parent.mkdir()
    waiting.write_text(
        f'#!/bin/sh\nwhile [ ! -e "{go}" ]; do sleep 0.05; done\nexec "{sys.executable}" "$@"\n'
    )
    waiting.chmod(0o755)
    env = environment()
    env["PATH"] = f"{waiting.parent}{os.pathsep}{env['PATH']}"
    log = tmp_path / "log"
    with log.open("w") as out:
        first = subprocess.Popen(
            ["dvc", "repro", "--force", "--single-item", "split"],
            cwd=finished_project,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            while stages_run(log.read_text()) != ["split"]:
                assert first.poll() is None, log.read_text()
                time.sleep(0.05)
            second = run_in(finished_project, "dvc", "repro")
            assert second.returncode != 0
            assert "is busy, it is being blocked by" in second.stderr
            assert f"(PID {first.pid})" in second.stderr
            assert "Traceback" not in second.stderr
        finally:
            go.touch()
            first.wait()
    assert first.returncode == 0, log.read_text()
    assert stages_run(run(finished_project, "dvc", "repro").stdout) == []
    assert results_of(finished_project) == before
