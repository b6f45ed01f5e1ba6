"""Load a trained model for prediction."""

from pathlib import Path

from tokenizers import Tokenizer

from ordinal.common.errors import UserError
from ordinal.common.types import Accelerator, Precision
from ordinal.prediction.predictor import Predictor


def load(
    model: str | Path = "models/ordinal",
    *,
    coverage: float = 0.9,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> Predictor:
    """Read a trained model: a folder of the train stage, or a file of `ordinal export onnx`.

    `accelerator` and `precision` are those of the folder's network (see `Train`). Asked for
    `bf16-mixed`, the predictor computes the texts whose label might hang on it once more in full
    precision; `auto`, which is bf16 on a GPU, does not. An ONNX file is computed on the CPU, in the
    precision that it was exported in.

    Raises:
        UserError: there is no such model, `coverage` is not between 0 and 1, a GPU is asked for
            and there is none, or bf16 and the model is an ONNX file.
    """
    if not 0 < coverage < 1:
        raise UserError(f"coverage is {coverage:g}: it has to be between 0 and 1")
    path = Path(model)
    if path.suffix == ".onnx":
        from ordinal.prediction.onnx import load_onnx

        if precision == "bf16-mixed":
            raise UserError(f"{path} can't be computed in bf16: take the model's folder")
        return load_onnx(path, coverage)
    # Only here: an ONNX file needs neither torch nor transformers.
    from ordinal.model.classifier import load_calibration, load_classifier, torch_network

    classifier = load_classifier(path)
    return Predictor(
        torch_network(classifier, accelerator, precision),
        Tokenizer.from_file(str(path / "tokenizer.json")),
        classifier.config.ordinal["labels"],
        classifier.config.ordinal["decode"],
        load_calibration(path),
        coverage,
        torch_network(classifier, accelerator, "32-true") if precision == "bf16-mixed" else None,
    )
