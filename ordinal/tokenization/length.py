"""The number of tokens that an encoder reads, from its config.json alone."""

import math
from collections.abc import Mapping
from typing import Any

# The first of these keys that a config has is the number of positions.
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
# Positions start after the id of the padding token.
START_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "layoutlmv3",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}
# Relative positions only. T5's n_positions is the length of its pretraining.
UNLIMITED = {"mt5", "t5", "umt5"}


def usable_length(config: Mapping[str, Any]) -> float:
    """Return the most tokens that an encoder reads, with its special tokens; infinity if any.

    `config` is the content of its config.json.
    """
    kind = config.get("model_type")
    relative = kind in ("deberta", "deberta-v2") and config.get("position_biased_input") is False
    counts = [int(config[key]) for key in POSITIONS if isinstance(config.get(key), int)]
    if kind in UNLIMITED or relative or not counts or counts[0] <= 0:
        return math.inf
    return counts[0] - _first_position(config) if kind in START_AFTER_PADDING else counts[0]


def _first_position(config: Mapping[str, Any]) -> int:
    # 1 is the default of these architectures, and the only padding id that MPNet reads.
    padding = 1 if config["model_type"] == "mpnet" else config.get("pad_token_id", 1)
    return int(padding or 0) + 1
