"""Fixtures and helpers: a tiny encoder, a small file of reviews, and copies of the project."""

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
from pathlib import Path
from unittest.mock import patch

# One thread per process: the tests run in parallel, and waiting threads would waste cores.
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import pytest
import yaml
from filelock import FileLock
from hypothesis import settings

from ordinal.cli import app
from ordinal.common.errors import report_user_errors
from ordinal.common.files import sha256
from tests.buckets import bucket, closed_port  # noqa: F401 (fixtures)

# No deadline, because parallel tests slow each other down. The same examples in every run.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")


ROOT = Path(__file__).parent.parent
MAKE = ("make", "--old-file=.venv/ready")  # does not set up an environment
WORDS = ("awful", "poor", "plain", "good", "superb")


def write_reviews_csv(path: Path, rows: int = 120, seed: int = 0) -> None:
    """Write reviews with one word per number of stars, which even a tiny model can learn."""
    draw = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "stars"])
        for number in range(rows):
            filler = " ".join(
                draw.choices(["room", "bed", "staff", "the", "was"], k=draw.randint(2, 20))
            )
            writer.writerow([f"{filler} {WORDS[number % 5]} {number}", number % 5 + 1])


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their argument: some contain the time, and all workers must agree on names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def save_tiny_encoder(folder: Path) -> Path:
    """Save a BERT of 2 layers of width 16 with random weights, in the format of the hub."""
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


@pytest.fixture(scope="session")
def tiny_model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model whose predictions differ between texts, although it is untrained."""
    import torch

    from ordinal.distributions.calibration import Calibration
    from ordinal.model.architecture import output_layer
    from ordinal.model.classifier import new_classifier, save_classifier
    from ordinal.tokenization.tokenizer import save_tokenizer
    from tests.tiny import scores_of

    folder, tokenizer = (tmp_path_factory.mktemp(name) for name in ("tiny", "tokenizer"))
    save_tokenizer(tiny_encoder, 24, tokenizer)
    model = new_classifier(tiny_encoder, WORDS, "corn")
    with torch.no_grad():
        output_layer(model).weight.mul_(100)
    scores = scores_of([0.1, 0.3, 0.5, 0.7, 0.9] * 4, len(WORDS))
    save_classifier(model, Calibration(1.3, scores), tokenizer, "", folder)
    return folder


@pytest.fixture(scope="session")
def _cloned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clone(tmp_path_factory.mktemp("cloned") / "project")


@pytest.fixture
def project(tmp_path: Path, _cloned: Path) -> Path:
    """A copy of the project under git, like a fresh clone: no stage has run in it."""
    return copy(_cloned, tmp_path)


@pytest.fixture(scope="session")
def _small(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    return small_clone(tmp_path_factory.mktemp("small") / "project", tiny_encoder)


@pytest.fixture
def small_project(tmp_path: Path, _small: Path) -> Path:
    """The project with the small file of reviews and the tiny encoder: a run takes seconds."""
    return copy(_small, tmp_path)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A small project in which the pipeline has run, shared by all workers of pytest-xdist."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "finished"
    with FileLock(f"{shared}.lock"):
        if not shared.exists():
            made = finish_small_project(tmp_path_factory.mktemp("finished"), tiny_encoder)
            made.parent.rename(shared)
    return shared / "project"


def finish_small_project(folder: Path, encoder: Path) -> Path:
    """Run the pipeline in a small project, and commit the results."""
    folder = small_clone(folder / "project", encoder)
    run_all_stages(folder)
    record_results(folder)
    git(folder, "add --all", "commit --quiet -m Run")
    return folder


@pytest.fixture
def finished_project(tmp_path: Path, _finished: Path) -> Path:
    """A copy of a small project in which the pipeline has run."""
    return copy(_finished, tmp_path)


def copy(project: Path, folder: Path) -> Path:
    """Copy a project into a folder, which is faster than to make another one."""
    return Path(shutil.copytree(project, folder / "project", symlinks=True))


def clone(folder: Path) -> Path:
    """Copy the project's files into `folder`, and commit them in a new git repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in files.splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)
    (folder / ".venv").symlink_to(sys.prefix)
    git(folder, "init --quiet --initial-branch=main", "add --all", "commit --quiet -m Start")
    git(folder, "gc --quiet")  # one file instead of hundreds, for the copies
    return folder


def small_clone(folder: Path, encoder: Path) -> Path:
    """Copy the project, and set it to the small file of reviews and the tiny encoder."""
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
            "train.loss": "emd",
            "train.epochs": 2,
            "train.batch_size": 16,  # enough steps for so few rows
            "train.lr": 0.003,
            "evaluate.resamples": 100,
        },
    )
    git(folder, "add --all --force data/own", "add params.yaml", "commit --quiet -m Small")
    return folder


def git(project: Path, *commands: str) -> None:
    """Run git commands, none of which has an argument with a space."""
    for command in commands:
        subprocess.run(["git", *command.split()], cwd=project, env=environment(), check=True)


def set_params(project: Path, values: dict[str, object]) -> None:
    """Change keys (`section.key`) of a project's params.yaml."""
    path = project / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, value in values.items():
        section, key = name.split(".")
        params[section][key] = value
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a command: this Python's programs first on PATH, a git author."""
    author = {
        f"GIT_{who}_{what}": "test@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | author | {"PATH": path} | changes


def run_in(project: Path, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project, without a terminal, and capture its output.

    `ordinal …` and `python -m stages.…` run in this process if `changes` leaves the environment
    as it is, which saves seconds of imports.
    """
    ours = ("ordinal ", "python -m stages.")
    if not changes and " ".join(command).startswith(ours):
        return run_here(project, *command)
    env = environment(**changes)
    return subprocess.run(
        command, cwd=project, env=env, capture_output=True, text=True, check=False
    )


def run_here(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `ordinal …` or `python -m stages.…` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment()),
        patch.object(sys, "argv", list(command)),  # names the paths that the user gave
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


def run_code(project: Path, code: str) -> str:
    """Run Python code of the docs in a project, in this process, and return its output."""
    out = io.StringIO()
    with contextlib.chdir(project), contextlib.redirect_stdout(out):
        exec(code, {"__name__": "__main__"})
    return out.getvalue()


def run_all_stages(project: Path) -> None:
    """Run the pipeline in this process, without DVC, which takes a tenth of the time."""
    for stage in yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]:
        run = run_in(project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr


def record_results(project: Path) -> None:
    """Write what was run without DVC to dvc.lock and to the cache, as `dvc repro` does."""
    run = run_in(project, "dvc", "commit", "--force", "--quiet")
    assert run.returncode == 0, run.stdout + run.stderr


def train_again(project: Path, values: dict[str, object]) -> None:
    """Change parameters, and run train, evaluate and card in this process.

    DVC does not know of that run until `dvc commit --force` or `dvc exp save`.
    """
    set_params(project, values)
    for stage in ("train", "evaluate", "card"):
        run = run_in(project, "python", "-m", f"stages.{stage}")
        assert run.returncode == 0, run.stderr


def console_commands(page: str) -> list[str]:
    """Return the commands in the `console` blocks of a page of the docs.

    A command begins after "$ " at the start of a line and ends before the next one, so it may
    have several lines. Comments (two spaces before a #) are left out.
    """
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.S | re.M)
    commands = [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.M)[1:]]
    return [re.sub(r" {2,}# .*", "", command).strip() for command in commands]


def run_as_shown(project: Path, command: str) -> str:
    """Run a command of the docs in a project, where it must succeed, and return its output."""
    line = re.sub("^make ", f"{shlex.join(MAKE)} ", command)
    words = shlex.split(line, comments=True)
    plain = words == shlex.split(line) and not re.search(r"[|<>&;$]", line)
    run = run_in(project, *words) if plain else run_in(project, "bash", "-c", line)
    assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
    return run.stdout


def results_of(project: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a run leaves behind; a folder has the empty string."""
    folders = ("data", "models", "metrics", "checkpoints")
    paths = [path for folder in folders for path in (project / folder).rglob("*")]
    return {
        path.relative_to(project).as_posix(): sha256(path) if path.is_file() else ""
        for path in [project / "dvc.lock", *paths]
        if path.exists()
    }


def stages_run(output: str) -> list[str]:
    """Return the stages that ran, according to the output of `dvc repro`."""
    return [
        line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")
    ]
