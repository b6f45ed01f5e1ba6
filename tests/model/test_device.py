"""Choice of device and precision."""

import pytest
import torch

from ordinal.common.choices import Precision
from ordinal.common.errors import UserError
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


@pytest.mark.parametrize(
    ("device", "avx512", "amx", "slow"),
    [
        ("cpu", True, False, True),
        ("cpu", True, True, False),
        ("cpu", False, False, False),
        ("cuda", True, False, False),
    ],
)
def test_attention_in_bf16_is_slow_on_a_cpu_without_amx(
    device: str, avx512: bool, amx: bool, slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    abilities = {"avx512_bf16": avx512, "amx_bf16": amx}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert devices.has_slow_bf16_attention(torch.device(device)) is slow
