"""Attention in plain matrix products: compared with torch's kernel, and with loops."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ordinal.model import attention
from ordinal.model.attention import NAME, attend, use_products
from ordinal.model.classifier import new_classifier
from tests.families import save_family
from tests.tiny import LABELS

ROWS, HEADS, WIDTH, SIZE = 3, 2, 5, 4


class Layer(nn.Module):
    is_causal = False


def inputs(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, keys, values, and a mask without the last two tokens of the first row."""
    generator = torch.Generator().manual_seed(seed)
    shape = (3, ROWS, HEADS, WIDTH, SIZE)
    query, key, value = torch.randn(shape, generator=generator, dtype=torch.float64)
    mask = torch.zeros(ROWS, 1, WIDTH, WIDTH, dtype=torch.float64)
    mask[0, :, :, -2:] = -1e30
    return query, key, value, mask


def by_loops(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scaling: float
) -> np.ndarray:
    result = np.zeros((ROWS, WIDTH, HEADS, SIZE))
    for row in range(ROWS):
        for head in range(HEADS):
            for token in range(WIDTH):
                weights = [
                    math.exp(
                        scaling * float(query[row, head, token] @ key[row, head, other])
                        + float(mask[row, 0, token, other])
                    )
                    for other in range(WIDTH)
                ]
                for other in range(WIDTH):
                    share = weights[other] / sum(weights)
                    result[row, token, head] += share * value[row, head, other].numpy()
    return result


@pytest.mark.parametrize("scores", [1, HEADS * WIDTH * WIDTH * 2, 10_000])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_it_equals_the_loops(
    scores: int, scaling: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "SCORES", scores)
    query, key, value, mask = inputs()
    result, _ = attend(Layer(), query, key, value, mask, scaling=scaling)
    expected = by_loops(query, key, value, mask, scaling or SIZE**-0.5)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    without, _ = attend(Layer(), query, key, value, None, scaling=scaling)
    expected = by_loops(query, key, value, torch.zeros_like(mask), scaling or SIZE**-0.5)
    np.testing.assert_allclose(without, expected, rtol=1e-12)


def test_the_arguments_stay_as_they_are() -> None:
    given, same = inputs(), inputs()
    attend(Layer(), *given)
    assert all(torch.equal(one, other) for one, other in zip(given, same, strict=True))


def test_a_cap_of_the_scores_is_refused_as_by_torchs_kernel() -> None:
    with pytest.raises(ValueError, match="softcap"):
        attend(Layer(), *inputs(), softcap=30.0)


def test_a_model_gives_the_results_of_torchs_kernel(family: str, tmp_path: Path) -> None:
    model = new_classifier(save_family(family, tmp_path), LABELS, "emd").eval()
    kernel = model.config._attn_implementation
    ids = torch.tensor([[0, 5, 6, 7, 8, 2], [0, 9, 5, 2, 1, 1]])
    batches = [{"input_ids": rows, "attention_mask": rows.ne(1).long()} for rows in (ids, ids[:1])]
    with torch.no_grad():
        before = [model(**batch).logits for batch in batches]
        use_products(model)
        after = [model(**batch).logits for batch in batches]
    assert model.config._attn_implementation == (NAME if kernel == "sdpa" else kernel)
    for one, other in zip(after, before, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
