"""Options and helpers that several commands share."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.common.choices import CoverageBy, Interval
from ordinal.common.errors import UserError
from ordinal.common.files import atomic_file
from ordinal.common.paths import MODEL

if TYPE_CHECKING:
    from rich.table import Table

RUN_AGAIN = "run the command again"
TRAINED = str(MODEL)

Model = Annotated[
    str,
    typer.Option(
        "--model", help="A model's folder, an ONNX file, or a commit, branch, tag or experiment."
    ),
]
Precise = Annotated[
    str | None,
    typer.Option(
        "--precise",
        help="The model that --model was exported from, in int8 or bf16. It computes the texts "
        "whose label could be another in it.",
    ),
]
Coverage = Annotated[
    float,
    typer.Option("--coverage", help="Share of texts whose interval is to contain the true label."),
]
ByLabel = Annotated[
    CoverageBy,
    typer.Option(
        "--coverage-by",
        help="none: the coverage holds for all texts together; label: for the texts of each label.",
    ),
]
Method = Annotated[
    Interval,
    typer.Option(
        "--interval",
        help="adaptive: the interval grows from the most probable label; shortest: it is as short "
        "as possible. They differ if a distribution has several peaks.",
    ),
]


@contextmanager
def model_path(name: str, option: str = "--model") -> Iterator[Path]:
    """Yield the path of a model: `name`, or a temporary copy if `name` is a revision.

    Raises:
        UserError: `name` is neither a path nor a revision with a model, or a folder is where a file
            has to be, or the reverse.
    """
    path = Path(name)
    if path.suffix == ".onnx" and path.is_dir():
        raise UserError(f"{option} {name} is a folder: name an .onnx file, or a model's folder")
    if path.suffix != ".onnx" and path.is_file():
        raise UserError(f"{option} {name} is a file: name a model's folder, or an .onnx file")
    if path.exists() or path.suffix == ".onnx":
        yield path
        return
    if name == TRAINED:
        raise UserError(f"{name} is missing: run `make repro` first, or name a model with --model")
    from ordinal.experiments.revisions import fetch_model

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        fetch_model(name, folder)
        yield folder


@contextmanager
def precise_path(name: str | None) -> Iterator[Path | None]:
    """Yield the path of the precise form of a model, if one is named, as `model_path` does."""
    if name is None:
        yield None
        return
    with model_path(name, "--precise") as path:
        yield path


def print_table(table: "Table") -> None:
    """Print a table of rich to stdout."""
    from rich.console import Console

    Console().print(table)


def write_page(html: str, out: Path) -> None:
    """Write a web page.

    Raises:
        UserError: the operating system refuses.
    """
    try:
        with atomic_file(out) as draft:
            draft.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out} can't be written: {error.strerror}") from None
