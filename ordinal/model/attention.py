"""Attention in plain matrix products, for bf16 on a CPU without AMX.

There, torch's own kernel is no faster in bf16 than in float32: on texts of 200 tokens it takes
nearly half of the time of MiniLM.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "products"
SCORES = 1 << 21
"""Attention scores at a time, which then stay in the processor's cache."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of Vaswani et al. (2017), equation 1, for transformers' `AttentionInterface`.

    Attention with grouped heads, a bias of positions, a cap of the scores, or a causal order
    without a mask is left to transformers' call of torch's kernel, which may refuse it.

    Args:
        module: the attention layer.
        query: shape (rows, heads, width, d).
        key: the same shape.
        value: the same shape.
        attention_mask: added to the scores, shape (rows, 1, width, width); None: no padding.
        scaling: factor of the scores; None: 1/√d.
        options: for torch's kernel.

    Returns:
        The result, shape (rows, width, heads, d), and None instead of the attention weights.
    """
    causal = attention_mask is None and getattr(module, "is_causal", True)
    special = any(options.get(name) is not None for name in ("position_bias", "softcap"))
    if causal or special or query.shape != key.shape:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
    rows, heads, width, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    results = []
    step = max(1, SCORES // (heads * width * width))
    for some in (slice(start, start + step) for start in range(0, rows, step)):
        scores = query[some] @ key[some].mT
        if attention_mask is not None:
            scores += attention_mask[some]
        results.append(scores.softmax(-1) @ value[some])
    return torch.cat(results).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, AttentionMaskInterface()["eager"])


def use_products(model: PreTrainedModel) -> None:
    """Compute a model's attention with `attend`, if it uses torch's kernel."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)
