"""Choice of the device and of the precision to compute in."""

from contextlib import AbstractContextManager
from typing import Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ordinal.common.choices import Accelerator, Precision
from ordinal.common.errors import UserError
from ordinal.model.inference import CPU_TOKENS


def choose_device(accelerator: Accelerator) -> torch.device:
    """The device to compute on; `auto` is the GPU if there is one, else the CPU.

    Raises:
        UserError: `accelerator` is gpu, and torch finds none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("train.accelerator is gpu, but torch finds no GPU: set it to auto or cpu")
    use_gpu = accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def choose_precision(
    precision: Precision, device: torch.device
) -> Literal["32-true", "bf16-mixed"]:
    """Lightning's name of the precision; `auto` is bf16 on a GPU that supports it, else float32."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if device.type == "cuda" and has_bf16(device) else "32-true"


def has_bf16(device: torch.device) -> bool:
    """Return whether a device multiplies bf16 in hardware; elsewhere, torch emulates it slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    abilities = torch.cpu.get_capabilities()
    return any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def has_slow_bf16_attention(device: torch.device) -> bool:
    """Return whether torch's attention is no faster in bf16 than in float32."""
    abilities = torch.cpu.get_capabilities()
    bf16 = bool(abilities.get("avx512_bf16"))
    return device.type == "cpu" and bf16 and not abilities.get("amx_bf16")


def slow_precision(precision: Precision, device: torch.device) -> str | None:
    """Warning for a device that is slow in the chosen precision, or None."""
    if precision == "bf16-mixed" and not has_bf16(device):
        return f"this {device.type} has no bf16 hardware: precision 32-true is faster"
    return None


def pad_multiple(device: torch.device) -> int:
    """Multiple that the width of each batch is padded to.

    A GPU is faster with multiples of 8. A CPU would only compute more padding.
    """
    return 8 if device.type == "cuda" else 1


def attention_kernels() -> AbstractContextManager[None]:
    """Compute attention without cuDNN.

    cuDNN prepares a kernel for each shape of a batch. For an epoch of texts of many lengths, that
    takes longer than the training itself.
    """
    return sdpa_kernel(
        [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    )


def batch_tokens(device: torch.device) -> int:
    """Tokens per batch, including padding, where no gradients are computed."""
    return 32768 if device.type == "cuda" else CPU_TOKENS
