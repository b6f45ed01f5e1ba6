"""Load a trained model for prediction."""

from pathlib import Path

from tokenizers import Tokenizer

from ordinal.common.choices import Accelerator, Precision
from ordinal.common.errors import UserError
from ordinal.common.files import read_json
from ordinal.common.paths import MODEL
from ordinal.prediction.predictor import Predictor
from ordinal.tokenization.tokenizer import load_truncation, read_literally


def load(
    model: str | Path = MODEL,
    *,
    coverage: float = 0.9,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> Predictor:
    """Load a trained model: a folder of the train stage, or a file of `ordinal export onnx`.

    Args:
        model: Path of the folder or ONNX file.
        coverage: Share of texts whose interval is to contain the true label.
        accelerator: Device that computes a folder's network, as in `Train`. An ONNX file is
            computed on the CPU.
        precision: Precision of a folder's network, as in `Train`. With `bf16-mixed`, texts whose
            label could change because of rounding are computed again in full precision; with
            `auto`, which is bf16 on a GPU, they are not.

    Raises:
        UserError: there is no such model, `coverage` is not between 0 and 1, there is no GPU for
            `accelerator="gpu"`, or `precision` is `bf16-mixed` and the model an ONNX file.
    """
    if not 0 < coverage < 1:
        raise UserError(f"coverage is {coverage:g}: it has to be between 0 and 1")
    path = Path(model)
    if path.suffix == ".onnx":
        from ordinal.prediction.onnx import load_onnx

        if precision == "bf16-mixed":
            raise UserError(f"{path} can't be computed in bf16: use the model's folder")
        return load_onnx(path, coverage)
    # Imported here, because an ONNX file needs neither torch nor transformers.
    from ordinal.model.classifier import load_calibration, load_classifier, torch_network

    classifier = load_classifier(path)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    read_literally(tokenizer)
    return Predictor(
        torch_network(classifier, accelerator, precision),
        tokenizer,
        classifier.config.ordinal["labels"],
        classifier.config.ordinal["decode"],
        load_calibration(path),
        coverage,
        torch_network(classifier, accelerator, "32-true") if precision == "bf16-mixed" else None,
        columns=classifier.config.ordinal.get("text", ()),
        truncation=load_truncation(path),
    )


def text_columns(folder: Path) -> list[str]:
    """Return the columns whose texts are joined, if a model was trained on several, else none."""
    config = folder / "config.json"
    return read_json(config).get("ordinal", {}).get("text", []) if config.is_file() else []
