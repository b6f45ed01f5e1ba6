"""The tutorial's experiment from its sources, and its messages when they fail."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ordinal.common.files import read_json
from ordinal.sources.catalog import ENCODER_FILES
from tests.conftest import MAKE, run_in, set_params
from tests.loopback import Answer
from tests.sources.conftest import Clone, files_in, no_network, read_catalog, the_error

MAKE_TRIPADVISOR = (*MAKE, "tripadvisor")
PAGE = b"\n<!DOCTYPE html><html><body>Please sign in</body></html>"


@pytest.mark.slow
def test_the_tutorial_trains_from_its_sources(tutorial: Clone) -> None:
    set_params(
        tutorial.project,
        {"tokenize.max_length": 64, "train.epochs": 1, "evaluate.resamples": 100},
    )
    done = tutorial.run(*MAKE_TRIPADVISOR)
    assert done.returncode == 0, done.stderr
    metrics = read_json(tutorial.project / "metrics/metrics.json")
    _, table = done.stdout.split("Test rows of tripadvisor (120 reviews in all)")
    assert f"{metrics['test']['mae']:.4f}" in table
    config = read_json(tutorial.project / "models/ordinal/config.json")
    assert config["model_type"] == "distilbert"
    assert config["dim"] == 16


@pytest.mark.parametrize("stage", ["download", "pretrained"])
@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda body: Answer(body=body[::-1]), "checksum mismatch: "),
        (lambda _: Answer(404), "404 Not Found"),
        (lambda body: Answer(body=body, sends=len(body) // 2), "connection lost"),
        (lambda _: Answer(body=PAGE), "an HTML page instead of a file"),
    ],
    ids=["wrong hash", "404", "cut short", "HTML page"],
)
def test_a_bad_answer_is_reported_in_one_sentence_and_leaves_no_file(
    tutorial: Clone, stage: str, spoilt: Callable[[bytes], Answer], reason: str
) -> None:
    for path in tutorial.served[stage]:
        tutorial.server.answer(path, spoilt(tutorial.server.next_answer(path).body))
    set_params(tutorial.project, {"data.name": "tripadvisor", "model.name": "distilbert"})
    before = files_in(tutorial.project / "data")

    error = the_error(tutorial.run("dvc", "repro", stage))

    source = {"download": tutorial.served[stage][0], "pretrained": "hub distilbert/distilbert"}
    assert source[stage] in error
    assert reason in error
    assert "network" not in error
    assert files_in(tutorial.project / "data") == before


def test_without_a_network_make_tripadvisor_says_what_to_do_and_changes_nothing(
    project: Path, closed_port: str
) -> None:
    params = project / "params.yaml"
    mine = params.read_bytes() + b"# not committed\n"
    params.write_bytes(mine)
    done = run_in(project, *MAKE_TRIPADVISOR, **no_network(closed_port))
    error = the_error(done)
    for source in read_catalog(project)["data"]["tripadvisor"]["sources"]:
        https = source.startswith("https:")
        reason = "no network: the proxy refuses connections" if https else "no such file"
        assert f"{source}: {reason}" in error
    assert error.endswith(
        "): put the file at data/own/tripadvisor_balanced.csv, check HTTPS_PROXY, or set data.name "
        "to demo, which is built in, and run `make repro`"
    )
    assert "params.yaml is as it was before." in done.stderr
    assert params.read_bytes() == mine
    assert run_in(project, "git", "status", "--porcelain").stdout == " M params.yaml\n"


def test_without_a_network_the_encoder_says_what_to_do(project: Path, closed_port: str) -> None:
    set_params(project, {"model.name": "distilbert"})
    done = run_in(project, "dvc", "repro", "pretrained", **no_network(closed_port))
    error = the_error(done)
    assert "hub distilbert/distilbert-base-uncased: https://huggingface.co/" in error
    assert "no network: the proxy refuses connections" in error
    assert error.endswith(
        f"): check HTTPS_PROXY, or set model.name to a local folder with "
        f"{', '.join(ENCODER_FILES)}, or to minilm, which comes from the package index"
    )
