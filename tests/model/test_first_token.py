"""A classifier without the unused tokens of its last layer: the same results, and less work."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ordinal.model.architecture import layers
from ordinal.model.classifier import new_classifier
from ordinal.model.first_token import TOKEN_BY_TOKEN, drop_unused_tokens
from tests.families import FAMILIES, save_family
from tests.tiny import LABELS


def test_the_results_stay_the_same(family: str, tmp_path: Path) -> None:
    model = new_classifier(save_family(family, tmp_path), LABELS, "emd").eval()
    ids = torch.tensor([[0, 5, 6, 7, 8, 2], [0, 9, 5, 2, 1, 1]])
    *_, last = layers(model)
    widths = []

    def note_width(_: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        tokens = output if isinstance(output, Tensor) else output[0]
        widths.append(tokens.shape[1])

    last.register_forward_hook(note_width)
    with torch.no_grad():
        before = model(input_ids=ids, attention_mask=ids.ne(1).long()).logits
        drop_unused_tokens(model)
        after = model(input_ids=ids, attention_mask=ids.ne(1).long()).logits
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-6)
    if model.config.model_type in TOKEN_BY_TOKEN:
        assert widths == [6, 1]


def test_each_type_is_among_the_tested_families() -> None:
    assert set(TOKEN_BY_TOKEN) <= {family.kind.model_type for family in FAMILIES.values()}
