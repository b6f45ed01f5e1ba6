"""Load a trained model for prediction."""

from dataclasses import replace
from pathlib import Path

from tokenizers import Tokenizer

from ordinal.common.choices import Accelerator, CoverageBy, Interval, Precision
from ordinal.common.errors import UserError
from ordinal.common.files import read_json
from ordinal.common.paths import MODEL
from ordinal.distributions.conformal import IntervalRule
from ordinal.prediction.deferral import fingerprint, load_deferral
from ordinal.prediction.predictor import Predictor
from ordinal.tokenization.tokenizer import load_truncation, read_literally


def load(
    model: str | Path = MODEL,
    *,
    precise: str | Path | None = None,
    coverage: float = 0.9,
    coverage_by: CoverageBy = "none",
    interval: Interval = "adaptive",
    abstain_above: int | None = None,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> Predictor:
    """Load a trained model: a folder, or a file of `ordinal export onnx`.

    Args:
        model: Path of the folder or ONNX file.
        precise: Path of the model that `model` is a fast form of, in int8 or bf16. It computes the
            texts whose label could be another in it.
        coverage: Share of texts whose interval is to contain the true label.
        coverage_by: label for this share of the texts of each label.
        interval: Method of the intervals, as in `Evaluate`.
        abstain_above: Texts whose interval has more labels than this get no label.
        accelerator: Device that computes a folder's network, as in `Train`. An ONNX file is
            computed on the CPU.
        precision: Precision of the network of a folder of the train stage, as in `Train`.

    Raises:
        UserError: there is no such model, `coverage` is not between 0 and 1, `abstain_above` is not
            between 1 and the number of labels minus 1, there is no GPU for `accelerator="gpu"`,
            `precision` is `bf16-mixed` and the model an ONNX file, or `model` is not a fast form of
            `precise`.
    """
    if not 0 < coverage < 1:
        raise UserError(f"coverage is {coverage:g}: it has to be between 0 and 1")
    rule = IntervalRule(coverage, coverage_by, interval)
    fast = _load_form(Path(model), rule, accelerator, precision)
    fast = replace(fast, abstain_above=_checked_width(abstain_above, len(fast.labels)))
    if precise is None:
        return fast
    if fast.deferral is None:
        raise UserError(
            f"{model} has no precise form: name a file of `ordinal export onnx --int8`, or a "
            "folder of `ordinal export bf16`"
        )
    slow = _load_form(Path(precise), rule, accelerator, "32-true")
    if fingerprint(slow.calibration) != fast.deferral.model:
        raise UserError(f"{model} was not exported from {precise}: export it again")
    return replace(fast, precise=slow.probabilities)


def _checked_width(width: int | None, labels: int) -> int | None:
    if width is not None and not 1 <= width < labels:
        raise UserError(
            f"abstain-above is {width}: it has to be at least 1 and below the number of labels, "
            f"{labels}"
        )
    return width


def _load_form(
    path: Path, rule: IntervalRule, accelerator: Accelerator, precision: Precision
) -> Predictor:
    """Load one form of a model."""
    if path.suffix == ".onnx":
        from ordinal.prediction.onnx import load_onnx

        if precision == "bf16-mixed":
            raise UserError(f"{path} can't be computed in bf16: use a folder")
        return load_onnx(path, rule)
    # Imported here, because an ONNX file needs neither torch nor transformers.
    from ordinal.model.classifier import load_calibration, load_classifier, torch_network
    from ordinal.model.device import choose_device, has_bf16

    classifier = load_classifier(path)
    if not (path / "tokenizer.json").is_file():
        raise UserError(f"{path} is damaged: it has no tokenizer.json")
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    read_literally(tokenizer)
    deferral = load_deferral(path)
    if deferral and precision == "auto":  # a folder of `export_bf16`
        precision = "bf16-mixed" if has_bf16(choose_device(accelerator)) else "32-true"
    return Predictor(
        torch_network(classifier, accelerator, precision),
        tokenizer,
        classifier.config.ordinal["labels"],
        classifier.config.ordinal["decode"],
        load_calibration(path),
        rule,
        columns=classifier.config.ordinal.get("text", ()),
        costs=classifier.config.ordinal.get("costs"),
        truncation=load_truncation(path),
        deferral=deferral,
    )


def text_columns(folder: Path) -> list[str]:
    """Return the columns whose texts are joined, if a model was trained on several, else none."""
    config = folder / "config.json"
    return read_json(config).get("ordinal", {}).get("text", []) if config.is_file() else []
