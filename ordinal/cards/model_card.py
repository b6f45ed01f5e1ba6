"""The model card: what the model was made of, how good it is and how to use it, for the hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ordinal.model.readme import escape_markdown, usage

CARD = """\
---
{metadata}
---
# Ordinal classifier: {labels}

Predicts one of {count} ordered labels (lowest first: {labels}) from a text, with a calibrated
probability of each and an interval of labels.{synthetic}

{usage}
## Data

{data}

## Train

Fine-tuned from {encoder} (licence: {encoder_licence}). What the run was set to:

{settings}

Weights: SHA-256 `{weights}` (`model.safetensors`).

## Results

On the {test_rows} test rows, which neither training nor calibration has seen:

{results}

The intervals are those of the bootstrap over the test rows; they do not count what another seed of
training would change. `median` always says the median label of the training rows, and the share of
each; `tfidf` is a logistic regression on words. ↓: less is better, ↑: more is better.

{calibration}

{conformal}

## Limits

{limits}
"""

# What each metric is called, and which way is better.
METRICS = {
    "mae": "mean absolute error, in labels ↓",
    "rmse": "root mean squared error, in labels ↓",
    "accuracy": "share of exact labels ↑",
    "off_by_one": "share at most one label off ↑",
    "qwk": "Cohen's kappa, quadratic weights ↑",
    "macro_mae": "mean of each label's mean absolute error ↓",
    "spearman": "Spearman's rank correlation ↑",
    "kendall": "Kendall's tau-b ↑",
    "rps": "ranked probability score ↓",
    "ece": "expected calibration error ↓",
    "log_loss": "log loss ↓",
}
SYNTHETIC = """

**The data are synthetic.** The figures below say that training works, and nothing about how well
the model reads texts that people wrote."""


@dataclass(frozen=True)
class Encoder:
    """Where the training began."""

    name: str
    licence: str
    hub: str | None = None
    """Its repository on the model hub, if it has one."""


@dataclass(frozen=True)
class Records:
    """What a run says of itself in its own files."""

    facts: dict[str, Any]
    """The record of the data (data/raw/facts.json)."""
    config: dict[str, Any]
    """That of the model (config.json)."""
    metrics: dict[str, Any]
    split: dict[str, Any]
    """Rows of each part, and duplicates across them."""
    tokens: dict[str, Any]
    """Rows, and how many of them were cut, of each part."""
    settings: Mapping[str, Mapping[str, object]]
    """The parameters by section."""
    encoder: Encoder
    weights: str
    """SHA-256 of model.safetensors."""


def model_card(run: Records) -> str:
    """Markdown with metadata and `model-index` of the model hub; the same run, the same bytes."""
    facts, metrics, ordinal = run.facts, run.metrics, run.config["ordinal"]
    return CARD.format(
        metadata=_metadata(run),
        labels=escape_markdown(", ".join(ordinal["labels"])),
        count=len(ordinal["labels"]),
        synthetic=SYNTHETIC if facts["synthetic"] else "",
        usage=usage(ordinal["loss"], ordinal["decode"]),
        data=_data(run),
        encoder=escape_markdown(run.encoder.name),
        encoder_licence=escape_markdown(run.encoder.licence),
        settings=_table(
            ["parameter", "value"],
            [
                [f"{section}.{key}", value]
                for section, values in run.settings.items()
                for key, value in values.items()
            ],
        ),
        weights=run.weights,
        test_rows=run.split["rows"]["test"],
        results=_results(metrics),
        calibration=_calibration(run),
        conformal=_conformal(run),
        limits=_limits(run),
    )


def _metadata(run: Records) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    name = f"{run.facts['name']}{' (synthetic)' if run.facts['synthetic'] else ''}"
    results = [
        EvalResult(
            task_type="text-classification",
            task_name="Ordinal classification of texts",
            dataset_type=run.facts["name"],
            dataset_name=name,
            dataset_split="test",
            metric_type=metric,
            metric_name=METRICS[metric],
            metric_value=value,
        )
        for metric, value in run.metrics["test"].items()
        if value is not None
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=run.encoder.hub,
        tags=["ordinal-regression", run.config["ordinal"]["loss"]],
        model_name="ordinal",
        eval_results=results,
    )
    return data.to_yaml()


def _data(run: Records) -> str:
    facts, parts = run.facts, run.split["rows"]
    hashed = f"\n- SHA-256 of the file: `{facts['sha256']}`" if "sha256" in facts else ""
    shares = [[label, rows] for label, rows in facts["rows_per_label"].items()]
    return (
        f"- {escape_markdown(facts['name'])}: {escape_markdown(facts['origin'])}\n"
        f"- Licence of the data: {escape_markdown(facts['licence'])}{hashed}\n"
        f"- {facts['rows']} rows: {parts['train']} for training, {parts['validation']} for "
        f"validation (the best epoch, calibration), {parts['test']} for the test\n\n"
        f"{_table(['label', 'rows'], shares)}"
    )


def _results(metrics: dict[str, Any]) -> str:
    baselines = metrics["baseline"]
    headings = ["metric", *baselines, "this model", "95 % interval"]
    rows = []
    for metric, value in metrics["test"].items():
        low, high = (metrics["test_95_percent"][metric][end] for end in ("low", "high"))
        figures = [*(baselines[name][metric] for name in baselines), value]
        cells = [METRICS[metric], *map(_figure, figures)]
        rows.append([*cells, f"{_figure(low)} to {_figure(high)}"])
    return _table(headings, rows)


def _calibration(run: Records) -> str:
    found = run.metrics["test_calibration"]
    before, after = found["before"], found["after"]
    return (
        f"**Calibration.** The probabilities are tempered (T = {_figure(found['temperature'])}, "
        f"fitted on the {run.split['rows']['validation']} validation rows). On the test rows the "
        f"log loss is {_figure(before['log_loss'])} before and {_figure(after['log_loss'])} after, "
        f"the expected calibration error {_figure(before['ece'])} and {_figure(after['ece'])}."
    )


def _conformal(run: Records) -> str:
    found = run.metrics["test_conformal"]
    return (
        f"**Intervals of labels** (split-conformal), asked to hold the true label in "
        f"{found['asked']:.1%} of the texts, hold it in {found['coverage']:.1%} of the test rows "
        f"and are {found['mean_width']:.2f} labels wide on average."
    )


def _limits(run: Records) -> str:
    facts, cut, rows = run.facts, run.tokens["test"]["cut"], run.split["rows"]
    rarest = min(facts["rows_per_label"], key=facts["rows_per_label"].__getitem__)
    crossing = run.split["duplicates_of_earlier_parts"]["test"]
    length = run.settings["tokenize"]["max_length"]
    limits = [
        f"It was tested on texts of one source, {escape_markdown(facts['name'])}: on others, in "
        "other words "
        "or another language, expect less, of the intervals too.",
        "The intervals keep their promise on average over texts like those of the validation rows, "
        "not for each label or each kind of text.",
        f"The rarest label, {escape_markdown(rarest)}, has {facts['rows_per_label'][rarest]} of "
        f"{facts['rows']} rows.",
        f"What is longer than {length} tokens is cut: {cut} of the {rows['test']} test rows were.",
        f"{crossing} of the {rows['test']} test rows have a text that also stands in the training "
        "or validation rows.",
        f"The licences of the data ({escape_markdown(facts['licence'])}) and of the encoder "
        f"({escape_markdown(run.encoder.licence)}) may bind what is made of them.",
    ]
    return "\n".join(f"- {limit}" for limit in limits)


def _table(headings: list[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    lines += [[escape_markdown(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
