"""The README in a model's folder, and the Markdown templates that it shares with the model card."""

import html
import json
import re
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ordinal.common.choices import Decoding, LossName, Truncation
from ordinal.common.columns import TEXT_SEPARATOR
from ordinal.common.params import Train


def readme(
    facts: dict[str, Any],
    encoder: str,
    train_rows: int,
    recipe: Train,
    truncation: Truncation = "head",
) -> str:
    """Return the README as Markdown, with metadata for the model hub.

    Args:
        facts: content of data/raw/facts.json.
        encoder: type of the pretrained encoder, such as "bert".
        train_rows: number of training rows.
        recipe: parameters of the training.
        truncation: tokens that are kept of a text that is too long.
    """
    template = markdown_templates("ordinal.model").get_template("readme.md")
    return template.render(
        facts=facts,
        encoder=encoder,
        train_rows=train_rows,
        recipe=recipe,
        usage=usage(recipe.loss, recipe.decode, facts.get("text", ()), truncation),
    )


def usage(
    loss: LossName,
    decode: Decoding,
    text_columns: Sequence[str] = (),
    truncation: Truncation = "head",
) -> str:
    """Return the section on how to use a model with this loss, decoding rule and truncation.

    It names the text columns if there are several.
    """
    return (
        markdown_templates("ordinal.model")
        .get_template("usage.md")
        .render(
            loss=loss,
            decode=decode,
            columns=text_columns,
            separator=json.dumps(TEXT_SEPARATOR),
            truncation=truncation,
        )
    )


def markdown_templates(package: str) -> Environment:
    """Return the Jinja environment of the `templates` folder of a package.

    Values are escaped by `escape_markdown`, except those marked with the filter `safe`.
    """
    return Environment(  # noqa: S701, `finalize` escapes
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: value if hasattr(value, "__html__") else escape_markdown(value),
    )


def escape_markdown(text: object) -> str:
    """Return a text as one line of Markdown that shows it literally: no markup, HTML or cells."""
    line = " ".join(str(text).split())
    return html.escape(re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", line), quote=False)
