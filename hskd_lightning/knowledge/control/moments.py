"""Mean and deviation of each unit of the true targets, measured over the whole training split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.hsk import HiddenTarget


class TargetMoments(NamedTuple):
    """Mean and deviation of what is kept: encoded values, of kept tokens, where a token's mask counts them.

    Not of all real tokens, as `Moments` is: [CLS] alone has a mean of its own.
    """

    mean: Tensor  # (P, W) float32
    deviation: Tensor  # (P, W) float32

    def at(self, target: HiddenTarget) -> tuple[Tensor, Tensor]:
        """Mean and deviation where the target is, in its type: each (P, 1, W)."""
        mean, deviation = (part.to(target.values)[:, None] for part in self)
        return mean, deviation

    def to(self, device: torch.device) -> TargetMoments:
        """The same on another device."""
        return TargetMoments(*(part.to(device) for part in self))


def measure_targets(targets: Iterable[HiddenTarget]) -> TargetMoments:
    """Measure the targets' moments in one pass.

    Sums are in float64, which no unit of an encoder makes cancel; a unit that never counts gets 0 and 0.
    """
    count = total = square = torch.zeros(())
    for target in targets:
        counted = target.tokens.valid[..., None]  # (B, P, K, 1)
        counted = counted.expand_as(target.values) if target.units is None else counted & target.units
        values = target.values.double() * counted  # (B, P, K, W)
        count = count + counted.sum(dim=(0, 2)).cpu()  # (P, W)
        total = total + values.sum(dim=(0, 2)).cpu()
        square = square + values.square().sum(dim=(0, 2)).cpu()
    mean = total / count.clamp(min=1)
    variance = (square / count.clamp(min=1) - mean.square()).clamp(min=0)
    return TargetMoments(mean.float(), variance.sqrt().float())
