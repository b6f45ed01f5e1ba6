"""The README of a model's folder: what the model is, and how to read its outputs."""

import html
import re
from typing import Any

from ordinal.common.params import Train
from ordinal.common.types import Decoding, LossName

README = """\
---
library_name: transformers
pipeline_tag: text-classification
tags: [ordinal-regression, {loss}]
---
# Ordinal classifier: {labels}

Predicts one of {count} ordered labels (lowest first: {labels}) from a text. Fine-tuned from a
{encoder} encoder on {rows} texts of {name}{synthetic}: {origin} (licence: {licence}).

{usage}"""

USAGE = """\
## How to use

With the package that trained it, calibrated and with intervals:

```python
import ordinal

folder = "models/ordinal"
for prediction in ordinal.load(folder).predict(["good", "bad"]):
    print(prediction.label, prediction.low, prediction.high, prediction.probabilities)
```

The same labels and probabilities in plain transformers, with no code of that package:

```python
import json
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

folder = "models/ordinal"
model = AutoModelForSequenceClassification.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)
labels = model.config.ordinal["labels"]
temperature = json.loads(Path(folder, "calibration.json").read_text())["temperature"]

texts = ["good", "bad"]
inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
with torch.inference_mode():
    logits = model(**inputs).logits
{distribution}
probabilities = probabilities.clamp(min=1.2e-07) ** (1 / temperature)
probabilities = probabilities / probabilities.sum(dim=1, keepdim=True)
{decoding}
print([labels[index] for index in predicted], probabilities.tolist())
```
{caution}"""

_DIFFERENCES = """
edge = torch.ones_like(exceed[:, :1])
probabilities = -torch.cat([edge, exceed, 0 * edge], dim=1).diff(dim=1)"""
# In plain torch what `ordinal.losses` does; any loss not named here is a softmax.
DISTRIBUTIONS: dict[LossName, str] = {
    "corn": "exceed = logits.sigmoid().cumprod(dim=1)" + _DIFFERENCES,
    "coral": "exceed = logits.sigmoid().cummin(dim=1).values" + _DIFFERENCES,
}
SOFTMAX = "probabilities = logits.softmax(dim=1)"
DECODINGS: dict[Decoding, str] = {
    "median": "predicted = (probabilities.cumsum(dim=1)[:, :-1] < 0.5).sum(dim=1)",
    "mean": "predicted = (probabilities @ torch.arange(float(len(labels))) + 0.5).long()",
    "mode": "predicted = probabilities.argmax(dim=1)",
}
CAUTION = """
A `text-classification` pipeline of transformers runs, but knows nothing of the order: it names
the outputs, which here are no labels but questions such as "above the lowest label?".
"""


def readme(facts: dict[str, Any], encoder: str, train_rows: int, recipe: Train) -> str:
    """Markdown with metadata for the model hub, from the data's record and the recipe."""
    return README.format(
        loss=recipe.loss,
        labels=escape_markdown(", ".join(facts["labels"])),
        count=len(facts["labels"]),
        encoder=escape_markdown(encoder),
        rows=train_rows,
        name=escape_markdown(facts["name"]),
        synthetic=", which are synthetic" if facts["synthetic"] else "",
        origin=escape_markdown(facts["origin"]),
        licence=escape_markdown(facts["licence"]),
        usage=usage(recipe.loss, recipe.decode),
    )


def usage(loss: LossName, rule: Decoding) -> str:
    """The section that says how to use a model of this loss and this rule of decoding."""
    return USAGE.format(
        distribution=DISTRIBUTIONS.get(loss, SOFTMAX),
        decoding=DECODINGS[rule],
        caution=CAUTION if loss in DISTRIBUTIONS else "",
    )


def escape_markdown(text: object) -> str:
    """Any text as Markdown that shows it as it is, on one line: no markup, no HTML, no cell."""
    line = " ".join(str(text).split())
    return html.escape(re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", line), quote=False)
