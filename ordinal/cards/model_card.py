"""The model card of a run, for the model hub: data, training, results and usage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ordinal.evaluation.results import (
    FEATURES,
    METRIC_NAMES,
    baseline_names,
    format_number,
    results_rows,
    tfidf_features,
    warnings_of,
)
from ordinal.model.readme import markdown_templates, usage


@dataclass(frozen=True)
class Encoder:
    """The pretrained encoder that was fine-tuned."""

    name: str
    licence: str
    hub: str | None = None
    """Its repository on the model hub, if it has one."""


def model_card(
    facts: dict[str, Any],
    details: dict[str, Any],
    parameters: Mapping[str, Mapping[str, Any]],
    encoder: Encoder,
    weights: str,
) -> str:
    """Return the card as Markdown, with metadata and `model-index` for the model hub.

    Args:
        facts: content of data/raw/facts.json.
        details: content of metrics/details.json (see `evaluation.results`).
        parameters: the parameters by section.
        encoder: the pretrained encoder.
        weights: SHA-256 of model.safetensors.
    """
    train, counts = parameters["train"], facts["rows_per_label"]
    templates = markdown_templates("ordinal.cards")
    templates.filters["number"] = format_number
    return templates.get_template("model_card.md").render(
        metadata=_metadata(facts, details["test"], train["loss"], encoder.hub),
        facts=facts,
        details=details,
        parameters=parameters,
        encoder=encoder,
        weights=weights,
        usage=usage(
            train["loss"],
            train["decode"],
            facts.get("text", ()),
            parameters["tokenize"]["truncation"],
        ),
        results=results_rows(details),
        metric_names=METRIC_NAMES,
        baseline_names=baseline_names(details),
        features=FEATURES[tfidf_features(details)],
        warnings=warnings_of(details),
        rarest=min(counts, key=counts.__getitem__),
    )


def _metadata(
    facts: dict[str, Any], metrics: dict[str, float | None], loss: str, hub: str | None
) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-classification",
            task_name="Ordinal classification of texts",
            dataset_type=facts["name"],
            dataset_name=f"{facts['name']}{' (synthetic)' if facts['synthetic'] else ''}",
            dataset_split="test",
            metric_type=metric,
            metric_name=METRIC_NAMES[metric],
            metric_value=value,
        )
        for metric, value in metrics.items()
        if value is not None
    ]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=hub,
        tags=["ordinal-regression", loss],
        model_name="ordinal",
        eval_results=results,
    )
    return data.to_yaml()
