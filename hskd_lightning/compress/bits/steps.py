"""Values as whole numbers of steps: what bits=int8 and int4 have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import Fitted, Layout, check_finite
from hskd_lightning.compress.bits.packing import nibbles, nibbles_at, pack_nibbles

BLOCK = 64
"""Units that a fit looks at together: bounds its memory."""
CLIPS = torch.linspace(0.3, 1.0, 15).tolist()
"""Parts of a unit's range that steps may cover: beyond them values are cut off, within them they are finer."""


class StepCode:
    """Steps from the middle of each unit's range.

    Args:
        scale: (P, W) what a step is worth; never 0.
        offset: (P, W) the middle: BERT's outlier units lie far from 0 and would waste the steps.
        most: steps to either side.
    """

    def __init__(self, scale: Tensor, offset: Tensor, most: int) -> None:
        self.scale = scale
        self.offset = offset
        self.most = most

    def elements(self, values: Tensor) -> Tensor:
        return _to_steps(values, self.scale[:, None], self.offset[:, None], self.most).to(torch.int8)

    def restored(self, elements: Tensor) -> Tensor:
        return elements.float() * self.scale[:, None] + self.offset[:, None]

    def encode(self, values: Tensor) -> Tensor:
        return self.packed(self.elements(values))

    def decode(self, codes: Tensor) -> Tensor:
        return self.restored(codes)

    def packed(self, elements: Tensor) -> Tensor:
        return elements

    def taken(self, packed: Tensor, places: Tensor) -> Tensor:
        return packed.index_select(0, places)

    def to(self, device: torch.device) -> StepCode:
        return type(self)(self.scale.to(device), self.offset.to(device), self.most)


class HalfByteCode(StepCode):
    """The same with two elements to a byte."""

    def decode(self, codes: Tensor) -> Tensor:
        return self.restored(nibbles(codes, self.scale.shape[-1]))

    def packed(self, elements: Tensor) -> Tensor:
        return pack_nibbles(elements)

    def taken(self, packed: Tensor, places: Tensor) -> Tensor:
        return nibbles_at(packed, places)


class Steps:
    """A strategy with steps of equal size for each unit, by the least squared error over a sample."""

    keep: int | None = None
    needs_sample = True
    nested = False
    most: int
    """Steps to either side of the middle."""
    made: type[StepCode]

    def layout(self, pairs: int, units: int) -> Layout:
        return {name: (torch.float32, (pairs, units)) for name in ("scale", "offset")}

    def fit(self, sample: Tensor) -> dict[str, Tensor]:
        check_finite(sample)
        fits = [_best_steps(part, self.most) for values in sample for part in values.split(BLOCK, dim=-1)]
        scale, offset = (torch.cat(parts).view(len(sample), -1) for parts in zip(*fits, strict=True))
        return {"scale": scale, "offset": offset}

    def code(self, fitted: Fitted, units: int) -> StepCode:
        return self.made(fitted["scale"][:, :units], fitted["offset"][:, :units], self.most)

    def fault(self, fitted: Fitted) -> str | None:
        scale, offset = fitted["scale"], fitted["offset"]
        sound = bool((scale > 0).all() and scale.isfinite().all() and offset.isfinite().all())
        return None if sound else "steps that are worth nothing"

    def check_ready(self) -> None:
        return None


def _to_steps(values: Tensor, scale: Tensor, offset: Tensor, most: int) -> Tensor:
    return ((values - offset) / scale).round().clamp(-most, most)


def _best_steps(values: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """(N, W) values -> (W,) scale and offset."""
    low, high = values.amin(dim=0), values.amax(dim=0)
    offset, reach = (low + high) / 2, (high - low) / 2
    least, best = torch.full_like(reach, torch.inf), torch.ones_like(reach)
    for clip in CLIPS:
        scale = (clip * reach / most).clamp(min=torch.finfo(torch.float32).tiny)
        error = (_to_steps(values, scale, offset, most) * scale + offset - values).square().sum(dim=0)
        best, least = torch.where(error <= least, scale, best), torch.minimum(error, least)
    return best, offset
