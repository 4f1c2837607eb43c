"""Values as whole numbers of steps: what bits=int8 and int4 have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import Fitted, Layout, check_finite
from hskd_lightning.compress.bits.packing import nibbles, nibbles_at, pack_nibbles

BLOCK = 64
"""Units that a fit looks at together: bounds its memory."""
CUT = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""Shares of a unit's values that may lie beyond its steps on either side: they are cut off, the others said finer."""


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
    """A strategy with steps of equal size for each unit, with the least squared error over a sample."""

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
    ordered, last = values.sort(dim=0).values, len(values) - 1
    candidates = [_covering(ordered[round(cut * last)], ordered[round((1 - cut) * last)], most) for cut in CUT]
    errors = torch.stack([_error(values, *candidate, most) for candidate in candidates])  # (candidates, W)
    best = errors.argmin(dim=0)
    scale, offset = (torch.stack(parts).gather(0, best[None])[0] for parts in zip(*candidates, strict=True))
    return scale, offset


def _covering(low: Tensor, high: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The scale and offset of steps from low to high; a unit that never moves has steps, too."""
    scale = (high - low) / (2 * most)
    return scale.clamp(min=torch.finfo(torch.float32).tiny), (low + high) / 2


def _error(values: Tensor, scale: Tensor, offset: Tensor, most: int) -> Tensor:
    """(W,) squared error of (N, W) values said in these steps."""
    return (_to_steps(values, scale, offset, most) * scale + offset - values).square().sum(dim=0)
