"""Size, speed and accuracy of an int8 file for several arguments of `quantize_dynamic`.

Each file is calibrated on the validation rows of the project's last run, and compared on its test
rows with the ONNX file in fp32, which is timed right before it.
"""

import tempfile
from pathlib import Path
from typing import Any

from onnxruntime.quantization import QuantType

from ordinal.common.paths import MODEL, TOKENIZED
from ordinal.prediction.forms import Form, FormFigures, compare_forms
from ordinal.prediction.onnx import INT8, export_onnx, quantize_onnx
from ordinal.tokenization.tokens import Tokens

MATRICES = {"op_types_to_quantize": ["MatMul", "Gemm"]}  # the word embeddings stay in fp32
CHOICES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "per_channel": {"per_channel": True},
    "per_channel, reduce_range": {"per_channel": True, "reduce_range": True},
    "per_channel, QUInt8": {"per_channel": True, "weight_type": QuantType.QUInt8},
    "per_channel, zero points": INT8,
    "MatMul and Gemm": MATRICES,
    "MatMul and Gemm, per_channel": MATRICES | {"per_channel": True},
    "MatMul and Gemm, zero points": MATRICES | INT8,
}
LINE = "{:30} {:>6} {:>7} {:>7} {:>18} {:>9}"


def main(model: Path = MODEL, tokenized: Path = TOKENIZED) -> None:
    validation, test = (Tokens.load(tokenized / f"{part}.arrow") for part in ("validation", "test"))
    print(LINE.format("arguments", "MB", "speedup", "MAE", "largest difference", "coverage"))
    with tempfile.TemporaryDirectory() as folder:
        whole, small = (Path(folder) / name for name in ("whole.onnx", "small.onnx"))
        export_onnx(model, whole)
        for name, arguments in CHOICES.items():
            quantize_onnx(whole, small, validation, arguments)
            fp32, int8 = compare_forms({"fp32": Form(whole), name: Form(small)}, test)
            if name == "defaults":
                print(line(fp32, fp32))
            print(line(int8, fp32), flush=True)


def line(form: FormFigures, fp32: FormFigures) -> str:
    """Return the figures of a file as a row of the table."""
    return LINE.format(
        form.name,
        f"{form.size / 1e6:.1f}",
        f"{form.speed / fp32.speed:.2f}",
        f"{form.mae:.4f}",
        f"{form.difference:.3f}",
        f"{form.coverage:.1%}",
    )


if __name__ == "__main__":
    main()
