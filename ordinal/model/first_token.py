"""The last layer of a classifier whose head uses the first token only."""

from torch import Tensor, nn
from transformers import PreTrainedModel

from ordinal.model.architecture import layers

# By type of the model: the module of a layer from which on each token is computed by itself.
TOKEN_BY_TOKEN = {
    **dict.fromkeys(("bert", "electra", "roberta", "xlm-roberta"), "attention.output"),
    "distilbert": "sa_layer_norm",
    "mpnet": "attention.LayerNorm",
}


def drop_unused_tokens(model: PreTrainedModel) -> None:
    """Compute the last layer, after its attention, for the first token only.

    The classifier's results stay the same, except for rounding. Three quarters of the layer's
    matrix products are saved. Models of types that `TOKEN_BY_TOKEN` lacks are not changed.
    """
    if name := TOKEN_BY_TOKEN.get(model.config.model_type):
        *_, last = layers(model)
        last.get_submodule(name).register_forward_pre_hook(_first_token)


def _first_token(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The first token of each input, of shape (rows, width, size)."""
    return tuple(tokens[:, :1].contiguous() for tokens in inputs)
