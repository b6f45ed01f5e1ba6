"""The usable length of an encoder, from its config.json alone."""

import math
from pathlib import Path

import pytest
import transformers
from transformers.models.auto.configuration_auto import model_type_to_module_name
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from ordinal.tokenization.length import START_AFTER_PADDING, usable_length


@pytest.mark.parametrize(
    ("config", "usable"),
    [
        ({}, math.inf),
        ({"model_type": "t5", "n_positions": 512}, math.inf),
        ({"model_type": "xlnet", "n_layer": 2}, math.inf),
        ({"model_type": "bert", "max_position_embeddings": None}, math.inf),
        ({"model_type": "mpt", "max_seq_len": 2048}, 2048),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 7}, 512),
        ({"model_type": "deberta", "max_position_embeddings": 512}, 512),
    ],
)
def test_the_usable_length_follows_from_the_config_alone(
    config: dict[str, object], usable: float
) -> None:
    assert usable_length(config) == usable


def test_all_architectures_whose_positions_start_after_the_padding_are_known() -> None:
    """All classifiers of transformers are searched for how they make their positions."""
    models = Path(transformers.__file__).parent / "models"
    found = {
        kind
        for kind, classifier in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.items()
        for file in (models / model_type_to_module_name(kind)).glob("modeling_*.py")
        if f"{classifier}(" in (code := file.read_text(encoding="utf-8"))
        and "create_position_ids_from_input_ids(" in code
    }
    assert found == START_AFTER_PADDING
