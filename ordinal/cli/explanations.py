"""`ordinal predict --explain`."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ordinal.common.errors import UserError

if TYPE_CHECKING:
    from ordinal.prediction.inputs import TextSource
    from ordinal.prediction.predictor import Predictor


def check_options(explain: bool, as_json: bool, **others: object) -> None:
    """Check the options of `ordinal predict` that go with --explain, and those that do not.

    Raises:
        UserError: --json was given without --explain, or another option with it.
    """
    if as_json and not explain:
        raise UserError("--json is a format of explanations: add --explain")
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if explain and given:
        raise UserError(f"--explain prints to stdout, without {given[0]}: leave that out")


def print_explanations(
    model: Path, load: "Callable[[], Predictor]", source: "TextSource", as_json: bool
) -> int:
    """Print the prediction of each text, and the effect of each of its words.

    Returns the number of texts without a label.

    Raises:
        UserError: the model is an ONNX file, or a row has no usable text.
    """
    from rich.console import Console

    from ordinal.data.rows import unreadable
    from ordinal.prediction.explanation import load_explainer
    from ordinal.reporting.terminal import explanation_text

    explainer = load_explainer(model)
    predictor = load()
    console = Console()
    row = abstained = 0
    for chunk in source.chunks:
        for text in chunk.texts:
            row += 1
            if problem := unreadable(text):
                raise UserError(f"{source.name}: row {row} {problem}")
            [prediction] = predictor.predict([str(text)])
            abstained += prediction.label is None
            explanation = explainer.explain(str(text))
            if as_json:
                told = {"row": row, "text": text} | asdict(prediction) | asdict(explanation)
                print(json.dumps(told, ensure_ascii=False))
            else:
                console.print(explanation_text(str(text), prediction, explanation))
    return abstained
