"""`ordinal export`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import RUN_AGAIN, TRAINED, Model, model_path, print_table
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.paths import TOKENIZED

if TYPE_CHECKING:
    from ordinal.prediction.forms import Form

app = typer.Typer(no_args_is_help=True, help="Export the model to another format.")

TEST_TOKENS = TOKENIZED / "test.arrow"
VALIDATION_TOKENS = TOKENIZED / "validation.arrow"


@app.command()
def onnx(
    model: Model = TRAINED,
    out: Annotated[
        Path, typer.Option(help="File to write; tokenizer.json is written next to it.")
    ] = Path("models/onnx/ordinal.onnx"),
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Also write a file that multiplies matrices in 8 bits. It is calibrated on the "
            f"validation rows in {VALIDATION_TOKENS}.",
        ),
    ] = False,
) -> None:
    """Write an ONNX file that computes calibrated probabilities from token ids.

    For the model of this project's last run, also compares the forms of the model on the test rows.
    """
    from ordinal.prediction.forms import Form
    from ordinal.prediction.onnx import export_onnx, quantize_onnx
    from ordinal.tokenization.tokens import Tokens

    with report_user_errors(RUN_AGAIN), model_path(model) as path:
        if out.suffix != ".onnx":
            raise UserError(f"--out {out}: the name has to end in .onnx")
        if out.is_dir():
            raise UserError(f"--out {out} is a folder: name a file in it")
        forms = {"the model": Form(path), out.name: Form(out)}
        if int8:
            _check_validation_rows(path, "--int8", "leave out --int8")
        export_onnx(path, out)
        if int8:
            small = out.with_suffix(".int8.onnx")
            quantize_onnx(out, small, Tokens.load(VALIDATION_TOKENS))
            forms[small.name] = Form(small)
            forms[f"{small.name}, --precise {out.name}"] = Form(small, out)
        _print_forms(model, forms)


@app.command()
def bf16(
    model: Model = TRAINED,
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("models/bf16"),
) -> None:
    """Write a folder with the model in bf16, calibrated on the validation rows.

    For the model of this project's last run, also compares both on the test rows.
    """
    from ordinal.prediction.bf16 import export_bf16
    from ordinal.prediction.deferral import DEFERRAL_FILE
    from ordinal.prediction.forms import Form
    from ordinal.tokenization.tokens import Tokens

    with report_user_errors(RUN_AGAIN), model_path(model) as path:
        if out.exists() and not (out / DEFERRAL_FILE).is_file():
            raise UserError(f"--out {out} is something else: name a new folder")
        _check_validation_rows(path, "the export to bf16", "export another model")
        export_bf16(path, out, Tokens.load(VALIDATION_TOKENS))
        forms = {"the model": Form(path), str(out): Form(out)}
        _print_forms(model, forms | {f"{out}, --precise {model}": Form(out, path)})


def _print_forms(model: str, forms: "Mapping[str, Form]") -> None:
    """Compare the forms of the model of this project's last run on the test rows."""
    from ordinal.prediction.forms import compare_forms
    from ordinal.reporting.terminal import forms_table
    from ordinal.tokenization.tokens import Tokens

    if model == TRAINED and TEST_TOKENS.is_file():  # other models have other test rows
        print_table(forms_table(compare_forms(forms, Tokens.load(TEST_TOKENS))))


def _check_validation_rows(model: Path, caller: str, instead: str) -> None:
    """Raise a `UserError` unless the rows exist on which a model was calibrated."""
    from ordinal.model.classifier import load_calibration
    from ordinal.tokenization.tokenizer import TOKENIZER_FILES
    from ordinal.tokenization.tokens import Tokens

    if not VALIDATION_TOKENS.is_file():
        raise UserError(
            f"{VALIDATION_TOKENS} is missing, and {caller} calibrates on its rows: "
            f"run `make repro`, or {instead}"
        )
    if not (model / "config.json").is_file():
        return  # not a model folder: the export says so
    files = [(model / name, TOKENIZED / name) for name in TOKENIZER_FILES]
    same_tokens = all(one.read_bytes() == other.read_bytes() for one, other in files)
    if not same_tokens or load_calibration(model).rows != len(Tokens.load(VALIDATION_TOKENS)):
        raise UserError(
            f"{VALIDATION_TOKENS} does not have the rows on which this model was calibrated, and "
            f"{caller} needs them: check out the run of the model, or {instead}"
        )
