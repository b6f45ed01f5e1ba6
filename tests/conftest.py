"""Fixtures: a tiny encoder, a small file of reviews, and a copy of the project to run in."""

import contextlib
import csv
import importlib
import io
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from itertools import chain, groupby
from pathlib import Path
from unittest.mock import patch

# One thread a process: the tests run in parallel, and threads that wait for each other waste cores.
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

from ordinal.cli import app
from ordinal.common.errors import report_user_errors
from tests import warm

# Parallel tests wait for each other, so that time says nothing; and what failed once fails again.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: a third of the tests' time is spent waiting."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of the slow tests: whoever has one last is waited for.

    xdist gives each an equal part of the tests, in their order. Those of a module stay together,
    for they may share what takes long to make.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    modules = [list(tests) for _, tests in groupby(slow, key=lambda item: item.path)]
    others = [item for item in items if item not in slow]
    items.clear()
    for workers in range(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), 0, -1):
        number = len(modules) // workers
        first, modules = list(chain.from_iterable(modules[:number])), modules[number:]
        number = sum(map(len, [first, *modules, others])) // workers - len(first)
        items += first + others[:number]
        others = others[number:]


ROOT = Path(__file__).parent.parent
MAKE = ("make", "--old-file=.venv/ready")  # without setting up an environment first
WORDS = ("awful", "poor", "plain", "good", "superb")


def write_reviews_csv(path: Path, rows: int = 120, seed: int = 0) -> None:
    """Reviews whose one telling word gives the stars away: even a tiny model can learn them."""
    draw = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "stars"])
        for number in range(rows):
            filler = " ".join(
                draw.choices(["room", "bed", "staff", "the", "was"], k=draw.randint(2, 20))
            )
            writer.writerow([f"{filler} {WORDS[number % 5]} {number}", number % 5 + 1])


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def save_tiny_encoder(folder: Path) -> Path:
    """A BERT of 2 layers of width 16 with random weights, saved as the hub would have it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *WORDS, "room", "bed", "staff", "the", "was", *"0123456789"]
    words += [f"##{digit}" for digit in "0123456789"]
    tokenizer = Tokenizer(
        models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    set_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's files under git, as a fresh clone is: nothing has run in it."""
    return clone(tmp_path / "project")


@pytest.fixture
def small_project(tmp_path: Path, tiny_encoder: Path) -> Path:
    """The project set to the small file of reviews and the tiny encoder: a run takes seconds."""
    return small_clone(tmp_path / "project", tiny_encoder)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """The same for all processes of a test run: the first that comes makes it."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "finished"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            made = finish_small_project(tmp_path_factory.mktemp("finished"), tiny_encoder)
            made.parent.rename(shared)
    return shared / "project"


def finish_small_project(folder: Path, encoder: Path) -> Path:
    """A small project in which the pipeline has run, and its results are committed."""
    folder = small_clone(folder / "project", encoder)
    run = run_in(folder, "dvc", "repro")
    assert run.returncode == 0, run.stdout + run.stderr
    for command in ("add --all", "commit --quiet -m Run"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment(), check=True)
    return folder


@pytest.fixture
def finished_project(tmp_path: Path, _finished: Path) -> Path:
    """A copy of what `finish_small_project` makes."""
    return Path(shutil.copytree(_finished, tmp_path / "project", symlinks=True))


def clone(folder: Path) -> Path:
    """Copy the project's files into `folder`, under git of its own."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in files.splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)
    (folder / ".venv").symlink_to(sys.prefix)
    for command in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m Start"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment(), check=True)
    return folder


def small_clone(folder: Path, encoder: Path) -> Path:
    """The same, set to the small file of reviews and the tiny encoder."""
    clone(folder)
    write_reviews_csv(folder / "data/own/small.csv")
    shutil.copytree(encoder, folder / "data/own/tiny")
    set_params(
        folder,
        {
            "data.name": "data/own/small.csv",
            "data.text": "review",
            "data.label": "stars",
            "model.name": "data/own/tiny",
            "tokenize.max_length": 64,
            "train.epochs": 2,
            "train.lr": 0.003,
            "evaluate.resamples": 100,
        },
    )
    for command in ("add --all --force data/own", "add params.yaml", "commit --quiet -m Small"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment(), check=True)
    return folder


def set_params(project: Path, values: dict[str, object]) -> None:
    """Change keys (`section.key`) of a project's params.yaml."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        section, key = name.split(".")
        params[section][key] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def environment(**changes: str) -> dict[str, str]:
    """What a command of the project runs under: this environment's programs first on PATH.

    Of `python -m …`, `dvc …` and `ordinal …`, the ones that have imported already what they need.
    """
    git = {
        f"GIT_{who}_{what}": "test@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = os.pathsep.join([warm.folder(), str(warm.PROGRAMS), os.environ["PATH"]])
    return os.environ | git | {"PATH": path} | changes


def run_in(project: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project as a user does, with no terminal; its output is captured.

    `ordinal …` and `python -m stages.…` run in this process, if it has the environment.
    """
    ours = ("ordinal ", "python -m stages.")
    if not changes and " ".join(command).startswith(ours):
        return run_here(project, *command)
    env = environment(**changes)
    return subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, check=False
    )


def run_here(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What a new process of `ordinal …` or `python -m stages.…` would do."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment()),
        # By which `ordinal study` has DVC's queue run the stages.
        patch.object(sys, "executable", f"{warm.folder()}/python"),
        contextlib.chdir(project),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            if command[0] == "ordinal":
                app(command[1:], prog_name="ordinal")
            else:
                with report_user_errors():
                    importlib.import_module(command[-1]).main()
            status = 0
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def train_again(project: Path, values: dict[str, object]) -> None:
    """Change parameters, and run what depends on the training, in this process: DVC doesn't know.

    `dvc commit --force` or `dvc exp save` then tells it.
    """
    set_params(project, values)
    for stage in ("train", "evaluate", "card"):
        run = run_in(project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr


def console_commands(page: str) -> list[str]:
    """The commands in the `console` blocks of a page of the docs.

    Each begins after a "$ " and goes on to the next one, so that one may have several lines.
    Comments, two spaces before a #, are left out.
    """
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)
    commands = [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [re.sub(r" {2,}# .*", "", command).strip() for command in commands]


def run_as_shown(project: Path, command: str) -> str:
    """Run a command of the docs in a project, where it has to succeed; returns what it prints.

    `make` would set up an environment first; here there is one already.
    """
    line = re.sub("^make ", f"{shlex.join(MAKE)} BIN={warm.folder()} ", command)
    words = shlex.split(line, comments=True)
    plain = words == shlex.split(line) and not re.search(r"[|<>&;$]", line)
    run = run_in(project, *words) if plain else run_in(project, "bash", "-c", line)
    assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
    return run.stdout


def stages_of(project: Path) -> list[str]:
    """The stages of its pipeline, each after those whose results it reads."""
    pipeline = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))
    return list(pipeline["stages"])


def stages_run(output: str) -> list[str]:
    """The stages that a `dvc repro` says it ran."""
    return [
        line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")
    ]
