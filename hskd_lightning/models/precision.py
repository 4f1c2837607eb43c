"""What `trainer.precision` means for the arithmetic of models, and what a device must have for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hskd_lightning.errors import ConfigError
from hskd_lightning.settings.types import BF16, TF32

BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""What torch calls a processor's instructions that multiply in bfloat16, on x86 and on ARM."""
AMPERE = (8, 0)
"""The compute capability from which on an NVIDIA GPU multiplies in TF32 and bfloat16."""


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Multiply matrices of float32 as this precision says: in TF32 (10 bits of mantissa) on purpose alone, and else as
    IEEE says, whatever was set before.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == TF32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """Run models of float32 weights in this precision, as a stage of Lightning's does."""
    with float32_products(precision), torch.autocast(device.type, torch.bfloat16, enabled=precision == BF16):
        yield


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse what this device would only imitate.

    Raises:
        ConfigError: TF32 without a GPU that has it; bfloat16 where it is emulated, and slower than float32.
    """
    if precision == TF32 and not _is_ampere(device):
        raise _refused(precision, "it takes an NVIDIA GPU of compute capability 8.0 or higher")
    if precision == BF16 and not (_is_ampere(device) or has_bf16_units(device)):
        raise _refused(precision, f"this {device.type} has no units for bfloat16: it is emulated, slower than 32-true")


def has_bf16_units(device: torch.device) -> bool:
    """Whether a processor multiplies in bfloat16. One that torch is too old to ask is believed to."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    return device.type == "cpu" and (capabilities is None or any(capabilities().get(unit) for unit in BF16_UNITS))


def _is_ampere(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= AMPERE


def _refused(precision: str, reason: str) -> ConfigError:
    return ConfigError("trainer.precision", precision, f"32-true: {reason}", "set trainer.precision=32-true")
