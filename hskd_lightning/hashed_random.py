"""Numbers drawn by name: a hash of what they belong to, so that no batch, epoch, worker or device can change them."""

from __future__ import annotations

import torch
from torch import Tensor

from hskd_lightning.devices import float64

BITS = 31


def scramble(value: Tensor) -> Tensor:
    """A 31-bit integer hash (xor-shift and multiply, twice): neighbouring inputs give unrelated outputs."""
    for factor in (0x45D9F3B, 0x119DE1F3):
        value = ((value ^ (value >> 16)) * factor) & 0x7FFFFFFF
    return value ^ (value >> 15)


def of_examples(ids: Tensor, seed: int) -> Tensor:
    """(B,) example ids -> (B,) hashes, others for another seed."""
    return scramble(ids + 1_000_003 * seed)


def normal(hashed: Tensor) -> Tensor:
    """31-bit hashes -> float32 of a standard normal distribution, by its quantiles."""
    quantile = (float64(hashed) + 0.5) / 2**BITS  # strictly between 0 and 1
    return torch.special.ndtri(quantile).float().to(hashed.device)
