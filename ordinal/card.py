"""The model card: what the model is and how to read its output."""

from typing import Any

from ordinal.recipe import Recipe

CARD = """\
---
library_name: transformers
pipeline_tag: text-classification
tags: [ordinal-regression, {loss}]
---
# Ordinal classifier: {labels}

Predicts one of {count} ordered labels (lowest first: {labels}) from a text.
Fine-tuned from a {encoder} encoder on {rows} reviews of `{name}`{synthetic}: {origin}
(licence: {licence}).

`config.ordinal` holds the label names, the loss (`{loss}`) and the decoding rule (`{decode}`).
`ordinal.losses.LOSSES["{loss}"].probabilities` turns logits into a distribution over labels, which
`ordinal.calibration.temper` calibrates with the temperature in `calibration.json`.

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("models/ordinal")
tokenizer = AutoTokenizer.from_pretrained("models/ordinal")
```
"""


def model_card(facts: dict[str, Any], encoder: str, train_rows: int, recipe: Recipe) -> str:
    """Markdown with the metadata of the model hub, from the data's record and the recipe."""
    return CARD.format(
        loss=recipe.loss,
        decode=recipe.decode,
        labels=", ".join(facts["labels"]),
        count=len(facts["labels"]),
        encoder=encoder,
        rows=train_rows,
        name=facts["name"],
        synthetic=", which are synthetic" if facts["synthetic"] else "",
        origin=facts["origin"],
        licence=facts["licence"],
    )
