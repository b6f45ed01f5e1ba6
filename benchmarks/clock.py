"""Time and arithmetic of a device."""

import time

import numpy as np
import torch
from torch import nn

from ordinal.common.types import Rows


def now(device: torch.device) -> float:
    """Seconds, when the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: torch.device, kind: torch.dtype) -> float:
    """Highest number of operations per second in products of square matrices of several sizes."""
    sizes = (4096, 8192, 16384) if device.type == "cuda" else (512, 1024, 2048)
    rates = []
    for size in sizes:
        left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
        for _ in range(5):
            start = now(device)
            left @ right
            rates.append(2 * size**3 / (now(device) - start))
    return max(rates[1:])


def training_flops(model: nn.Module, lengths: Rows) -> float:
    """Operations to train on rows of these lengths once, forward and backward, without padding.

    They are 2 per weight of the layers and token, and 4 · width per layer and pair of tokens (their
    product, and the weighted mean). The backward pass needs twice the operations of the forward
    pass. The head, which is computed once per row, is left out.
    """
    config = model.config
    weights = sum(
        layer.weight.numel()
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and ".layer." in name
    )
    pairs = 4 * config.num_hidden_layers * config.hidden_size
    counts = lengths.astype(np.float64)
    return float(3 * (2 * weights * counts + pairs * counts**2).sum())
