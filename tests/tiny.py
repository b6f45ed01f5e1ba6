"""A tiny classifier and reviews that it can learn, for the tests of models and training."""

from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from transformers import PreTrainedModel

from ordinal.common.params import Train
from ordinal.distributions.conformal import Scores
from ordinal.model.classifier import new_classifier
from ordinal.tokenization.tokens import Tokens
from ordinal.training.fine_tuning import fit

LABELS = ["poor", "fair", "good"]
RECIPE = Train(loss="emd", epochs=3, batch_size=4, lr=0.01, layer_decay=1.0, accelerator="cpu")


def draw(rows: int, seed: int = 0) -> Tokens:
    """Reviews in which one token, 5 + label, gives the label away."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    reviews = [
        [2, *rng.integers(10, 15, size=rng.integers(1, 9)), 5 + label, 3] for label in labels
    ]
    offsets = np.cumsum([0, *map(len, reviews)])
    return Tokens(np.concatenate(reviews).astype(np.int32), offsets, labels)


def scores_of(values: list[float], labels: int) -> Scores:
    """The scores of calibration rows, whose labels take turns."""
    of_labels = [sorted(values[label::labels]) for label in range(labels)]
    return {"adaptive": of_labels, "shortest": of_labels}


def classifier_for(encoder: Path, recipe: Train = RECIPE) -> PreTrainedModel:
    """A new classifier of the three labels, as the train stage creates it."""
    return new_classifier(
        encoder, LABELS, recipe.loss, recipe.decode, recipe.seed, recipe.attention_dropout
    )


def train(
    encoder: Path, recipe: Train = RECIPE, *callbacks: Callback
) -> tuple[PreTrainedModel, list[dict[str, float]]]:
    """A trained classifier and the learning curve of its epochs."""
    model = classifier_for(encoder, recipe)
    history = fit(model, draw(60), draw(20, seed=1), recipe, callbacks=callbacks)
    return model, history.epochs


def logits_of(model: PreTrainedModel, tokens: Tokens) -> Tensor:
    """Logits of all rows, computed as one batch."""
    ids, mask = tokens.pad(np.arange(len(tokens)), pad_id=0)
    with torch.no_grad():
        logits: Tensor = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits
    return logits


def rows_are_equal(layer: nn.Linear) -> bool:
    """Return whether all outputs of a layer have the same weights."""
    return torch.equal(layer.weight, layer.weight[:1].expand_as(layer.weight))


def norm(tensors: list[Tensor]) -> float:
    """Euclidean norm of all values together."""
    return torch.cat([tensor.flatten() for tensor in tensors]).norm().item()
