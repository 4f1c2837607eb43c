"""Bits and half bytes, eight and two to a byte, the lowest first; on whichever device they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad


def pack_bits(bits: Tensor) -> Tensor:
    """(..., n) bool -> (..., ceil(n / 8)) uint8."""
    if bits.device.type == "cpu":
        return torch.from_numpy(np.packbits(bits.numpy(), axis=-1, bitorder="little"))
    worth = 2 ** torch.arange(8, dtype=torch.uint8, device=bits.device)
    eights = pad(bits, (0, -bits.shape[-1] % 8)).unflatten(-1, (-1, 8))  # (..., ceil(n / 8), 8)
    return (eights * worth).sum(dim=-1, dtype=torch.uint8)


def unpack_bits(packed: Tensor, count: int) -> Tensor:
    """(..., C) uint8 -> (..., n) bool, the first so many: undo `pack_bits`."""
    if packed.device.type == "cpu":
        return torch.from_numpy(np.unpackbits(packed.numpy(), axis=-1, count=count, bitorder="little")).bool()
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    return (packed[..., None] >> places & 1).flatten(-2)[..., :count].bool()


def pack_nibbles(elements: Tensor) -> Tensor:
    """(..., n) int8 from -8 to 7 -> (..., ceil(n / 2)) uint8."""
    pairs = pad(elements & 15, (0, elements.shape[-1] % 2)).to(torch.uint8).unflatten(-1, (-1, 2))
    return pairs[..., 0] | pairs[..., 1] << 4


def nibbles(packed: Tensor, count: int) -> Tensor:
    """(..., C) uint8 -> (..., n) int8, the first so many: undo `pack_nibbles`."""
    return _signed(torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2)[..., :count])


def nibbles_at(packed: Tensor, places: Tensor) -> Tensor:
    """The elements at (n,) places of what (C,) uint8 hold -> (n,) int8."""
    return _signed(packed.index_select(0, places >> 1) >> (places & 1).to(torch.uint8) * 4 & 15)


def _signed(halves: Tensor) -> Tensor:
    """0 to 15 -> 0 to 7, -8 to -1."""
    halves = halves.to(torch.int8)
    return halves - (halves & 8) * 2
