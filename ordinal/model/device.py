"""What to compute on, and how precisely."""

import ctypes
import sys
from typing import Literal

import torch

from ordinal.common.errors import UserError
from ordinal.common.types import Accelerator, Precision
from ordinal.model.inference import CPU_TOKENS

# glibc's malloc.h: the names of two settings, and the most that each can be.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MOST_FREE, LARGEST_KEPT = 2**31 - 1, 2**25


def choose_device(accelerator: Accelerator) -> torch.device:
    """With `auto`, the GPU where there is one, else the CPU.

    Raises:
        UserError: a GPU is asked for and there is none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError(
            "train.accelerator is gpu, but torch finds none here: set it to auto or cpu"
        )
    use_gpu = accelerator != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def choose_precision(
    precision: Precision, device: torch.device
) -> Literal["32-true", "bf16-mixed"]:
    """Lightning's name of the precision: with `auto`, bf16 on a GPU that has it, else full."""
    if precision != "auto":
        return precision
    return "bf16-mixed" if device.type == "cuda" and has_bf16(device) else "32-true"


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 in hardware; torch does it all the same, very slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    abilities = torch.cpu.get_capabilities()
    return any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def slow_precision(precision: Precision, device: torch.device) -> str | None:
    """What to say where a device was told to compute in what it is slow at."""
    if precision == "bf16-mixed" and not has_bf16(device):
        return f"this {device.type} has no bf16, and is slow at it: 32-true is faster"
    return None


def pad_multiple(device: torch.device) -> int:
    """What a batch's width shall be a multiple of.

    A GPU reads memory, and takes an attention mask, in eights; a CPU would compute the padding.
    """
    return 8 if device.type == "cuda" else 1


def batch_tokens(device: torch.device) -> int:
    """How many tokens to compute at once where no gradient is kept, padding included."""
    return 32768 if device.type == "cuda" else CPU_TOKENS


def keep_memory() -> None:
    """Have this process keep the memory that a batch's tensors free, for those of the next.

    Else the system takes it, and gives it back page by page, filled with zeros. Where the C library
    is not glibc, this does nothing.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        library.mallopt(M_TRIM_THRESHOLD, MOST_FREE)
