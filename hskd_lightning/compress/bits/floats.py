"""Values rounded to a float: what bits=fp32, fp16 and bf16 have in common."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import Fitted, Layout


@dataclass(frozen=True)
class FloatCode:
    """Rounds to a float."""

    dtype: torch.dtype

    def encode(self, values: Tensor) -> Tensor:
        return values.to(self.dtype)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes of a wider float too: what is covered is rounded as its own store would have rounded it."""
        return codes.to(self.dtype).to(torch.promote_types(self.dtype, torch.float32))

    elements, restored = encode, decode

    def packed(self, elements: Tensor) -> Tensor:
        return elements

    def taken(self, packed: Tensor, places: Tensor) -> Tensor:
        return packed.index_select(0, places)

    def to(self, device: torch.device) -> FloatCode:
        return self


class Floats:
    """A strategy that fits nothing."""

    dtype: torch.dtype
    keep: int | None = None
    needs_sample = False
    nested = False

    @property
    def element_bits(self) -> int | None:
        return 8 * self.dtype.itemsize

    def columns(self, units: int) -> int:
        return units

    def layout(self, pairs: int, units: int) -> Layout:
        return {}

    def fit(self, sample: Tensor) -> dict[str, Tensor]:
        return {}

    def code(self, fitted: Fitted, units: int) -> FloatCode:
        return FloatCode(self.dtype)

    def fault(self, fitted: Fitted) -> str | None:
        return None

    def check_ready(self) -> None:
        return None
