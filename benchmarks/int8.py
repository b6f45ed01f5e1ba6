"""Size, speed and accuracy of an int8 file for several arguments of `quantize_dynamic`.

Each file is calibrated on the validation rows of the project's last run, and compared on its test
rows with the ONNX file in fp32. The speed is the median of `REPEATS`.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any

from onnxruntime.quantization import QuantType

from ordinal.common.paths import MODEL, TOKENIZED
from ordinal.prediction.forms import FormFigures, compare_forms
from ordinal.prediction.onnx import export_onnx, quantize_onnx
from ordinal.tokenization.tokens import Tokens

MATRICES = {"op_types_to_quantize": ["MatMul", "Gemm"]}  # the word embeddings stay in fp32
CHOICES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "per_channel": {"per_channel": True},
    "per_channel, reduce_range": {"per_channel": True, "reduce_range": True},
    "per_channel, QUInt8": {"per_channel": True, "weight_type": QuantType.QUInt8},
    "MatMul and Gemm": MATRICES,
    "MatMul and Gemm, per_channel": MATRICES | {"per_channel": True},
}
REPEATS = 3


def line(repeats: list[list[FormFigures]]) -> str:
    """Return the figures of a file, next to those of the file in fp32, as a row of a table."""
    speedup = statistics.median(small.speed / whole.speed for whole, small in repeats)
    form = repeats[0][1]
    return (
        f"{form.name:30} {form.size / 1e6:6.1f} {speedup:8.2f} {form.mae:7.4f} "
        f"{form.difference:9.3f} {form.coverage:9.1%}"
    )


def main() -> None:
    validation, test = (Tokens.load(TOKENIZED / f"{part}.arrow") for part in ("validation", "test"))
    with tempfile.TemporaryDirectory() as folder:
        whole, small = (Path(folder) / name for name in ("whole.onnx", "small.onnx"))
        export_onnx(MODEL, whole)
        [fp32] = compare_forms({"fp32": whole}, test)
        print(
            f"{'arguments':30} {'MB':>6} {'speedup':>8} {'MAE':>7} {'largest Δ':>9} {'coverage':>9}"
        )
        print(line([[fp32, fp32]]))
        for name, arguments in CHOICES.items():
            quantize_onnx(whole, small, validation, arguments)
            forms = {"fp32": whole, name: small}
            print(line([compare_forms(forms, test) for _ in range(REPEATS)]), flush=True)


if __name__ == "__main__":
    main()
