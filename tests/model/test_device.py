"""Choice of device and precision."""

import platform
import subprocess
import sys

import pytest
import torch

from ordinal.common.errors import UserError
from ordinal.common.types import Precision
from ordinal.model import device as devices
from ordinal.model.device import choose_device, choose_precision


@pytest.mark.parametrize(
    ("asked", "device", "there", "expected"),
    [
        ("auto", "cuda", True, "bf16-mixed"),
        ("auto", "cuda", False, "32-true"),
        ("auto", "cpu", True, "32-true"),
        ("bf16-mixed", "cpu", False, "bf16-mixed"),
        ("32-true", "cuda", True, "32-true"),
    ],
)
def test_the_precision_is_what_is_asked_for_or_what_a_gpu_has(
    asked: Precision, device: str, there: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda _: there)
    assert choose_precision(asked, torch.device(device)) == expected


def test_a_missing_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    with pytest.raises(UserError, match=r"train\.accelerator is gpu, but torch finds no GPU"):
        choose_device("gpu")


def test_freed_memory_that_is_kept_is_not_requested_again() -> None:
    script = """
import resource, sys, torch
from ordinal.model.device import keep_freed_memory
if sys.argv[1:]:
    keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(2**20) for _ in range(20)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    returned, kept = (
        int(subprocess.check_output([sys.executable, "-c", script, *arguments]))
        for arguments in ((), ("keep",))
    )
    # Page faults; the tensors take 20 · 1024 pages of 4 KB.
    assert (kept < returned / 2) == (platform.libc_ver()[0] == "glibc")
