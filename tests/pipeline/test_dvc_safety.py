"""DVC's own safety: storage elsewhere, a damaged cache, two runs at once."""

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

from tests import warm
from tests.conftest import environment, run_in, stages_run
from tests.pipeline.bad_input import snapshot

SPLIT = "data/split/train.parquet"


def run(project: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    done = run_in(project, *command, **changes)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def cached(project: Path, file: str = SPLIT) -> Path:
    """The cache's object of a file."""
    md5 = hashlib.md5((project / file).read_bytes(), usedforsecurity=False).hexdigest()
    return project / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def damage(path: Path) -> None:
    """Turn one bit, as a disk may: neither size nor permissions tell of it."""
    mode = path.stat().st_mode
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode)


# Storage elsewhere


@dataclass
class Storage:
    """A remote of DVC's."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    client: Any = None

    def add_to(self, project: Path) -> None:
        run(project, "dvc", "remote", "add", "--default", "storage", self.url)
        for name, value in self.options.items():
            run(project, "dvc", "remote", "modify", "storage", name, value)
        run(project, "git", "commit", "--quiet", "--all", "--message", "Storage")


@pytest.fixture
def folder(tmp_path: Path) -> Storage:
    return Storage(os.fspath(tmp_path / "storage"))


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """An S3 server on this machine with an empty bucket."""
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


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_fresh_clone_pulls_everything_and_runs_nothing(
    kind: str, finished_project: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage: Storage = request.getfixturevalue(kind)
    storage.add_to(finished_project)
    run(finished_project, "dvc", "push")
    if storage.client:
        listed = storage.client.list_objects_v2(Bucket="bucket")["Contents"]
        split = cached(finished_project)
        assert f"ordinal/files/md5/{split.parent.name}/{split.name}" in [
            item["Key"] for item in listed
        ]

    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", os.fspath(finished_project), os.fspath(clone))
    assert not (clone / "data/split").exists()
    run(clone, "dvc", "pull")
    assert stages_run(run(clone, "dvc", "repro").stdout) == []
    assert snapshot(clone) == snapshot(finished_project)
    assert run(clone, "git", "status", "--porcelain").stdout == ""


def test_damage_in_the_storage_is_noticed_where_it_is_told_to_verify(
    finished_project: Path, folder: Storage
) -> None:
    folder.options = {"verify": "true"}
    folder.add_to(finished_project)
    before = snapshot(finished_project)
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
    assert snapshot(finished_project) == before


# A damaged cache


def test_a_whole_cache_is_called_whole(finished_project: Path) -> None:
    objects = list((finished_project / ".dvc/cache/files/md5").glob("*/*"))
    done = run(finished_project, "ordinal", "verify-cache")
    assert done.stdout == f"The cache's {len(objects)} objects are whole.\n"


@pytest.mark.parametrize("checked_out", [False, True], ids=["in the cache", "checked out, too"])
@pytest.mark.parametrize("remedy", ["repro", "pull"])
def test_a_damaged_object_is_noticed_and_replaced(
    finished_project: Path, folder: Storage, remedy: str, checked_out: bool
) -> None:
    folder.add_to(finished_project)
    run(finished_project, "dvc", "push")
    before = snapshot(finished_project)
    whole = (finished_project / SPLIT).read_bytes()
    found = cached(finished_project)
    damage(found)
    if checked_out:  # DVC trusts the object, and remembers the copy as what it should be
        shutil.rmtree(finished_project / "data/split")
        run(finished_project, "dvc", "checkout")
        assert (finished_project / SPLIT).read_bytes() != whole

    noticed = run_in(finished_project, "ordinal", "verify-cache")
    assert noticed.returncode == 1
    aside = finished_project / ".dvc/tmp/damaged"
    assert noticed.stderr.startswith("error: 1 of the cache's ")
    assert os.fspath(aside) in noticed.stderr
    assert [path.name for path in aside.iterdir()] == [found.parent.name + found.name]

    if remedy == "repro":
        assert stages_run(run(finished_project, "dvc", "repro").stdout) == ["split"]
    else:
        run(finished_project, "dvc", "pull", "--force")
        assert stages_run(run(finished_project, "dvc", "repro").stdout) == []
    assert snapshot(finished_project) == before
    assert found.read_bytes() == whole
    run(finished_project, "ordinal", "verify-cache")


def test_outside_of_a_project_there_is_no_cache_to_verify(tmp_path: Path) -> None:
    done = run_in(tmp_path, "ordinal", "verify-cache")
    assert done.returncode == 1
    assert done.stderr.startswith("error: you are not inside of a DVC repository")
    assert done.stderr.count("\n") == 1


# Two runs at once


def test_of_two_runs_at_once_the_second_says_who_is_at_work(
    finished_project: Path, tmp_path: Path
) -> None:
    before = snapshot(finished_project)
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
            [warm.PROGRAMS / "dvc", "repro", "--force", "--single-item", "split"],
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
    assert snapshot(finished_project) == before
