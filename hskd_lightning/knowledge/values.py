"""What bits cost: how far the values of a store are from the teacher's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.devices import float64
from hskd_lightning.errors import ConfigError

CACHED = 128
"""Rows that are measured at a time on a CPU: their float64 stays in its cache, which is ten times as fast."""


def largest(values: Tensor) -> Tensor:
    """The largest magnitude of some values, nan if one is, where they are."""
    return torch.stack(torch.aminmax(values)).abs().max()


def check_holds(dtype: torch.dtype, largest: float, said: str) -> None:
    """Refuse bits that round the largest of some values to infinity; no value may be nan.

    Args:
        dtype: of the codes; a whole number holds what is finite.
        said: the bits, as the user chose them.

    Raises:
        ConfigError: they do.
    """
    float_type = dtype if dtype.is_floating_point else torch.float32
    if not torch.tensor(largest).to(float_type).isfinite():
        held = torch.tensor(largest).isfinite()
        remedy = "write bits=bf16 or bits=fp32" if held else "use a teacher whose hidden states are finite"
        raise ConfigError("bits", said, f"a type that holds {largest:.4g}", remedy)


class Meter:
    """Measures what bits cost one layer's values."""

    def __init__(self, units: int, centred: bool) -> None:
        self.centred = centred
        self.count = 0
        self.sums = torch.zeros(3, units, dtype=torch.float64)  # of squared errors, of values, of their squares

    def add(self, values: Tensor, stored: Tensor) -> None:
        """Count (N, W) values and what a reader will get for them, where they are."""
        self.count += len(values)
        rows = CACHED if values.device.type == "cpu" else max(1, len(values))
        for exact, back in zip(values.split(rows), stored.split(rows), strict=True):
            exact, back = float64(exact), float64(back)
            error = (exact - back).square()
            sums = torch.stack([error.sum(dim=0), exact.sum(dim=0), exact.square().sum(dim=0)])
            self.sums = self.sums.to(sums.device) + sums

    @property
    def loss(self) -> Loss:
        error, total, square = self.sums.cpu()
        energy = square - (total.square() / max(1, self.count) if self.centred else 0.0)
        moving = energy > 0
        worst = float((error[moving] / energy[moving]).max().sqrt()) if moving.any() else 0.0
        return Loss(float(error.sum()), float(energy.sum()), worst)


class Loss(NamedTuple):
    """What bits cost one layer of a shard, as sums, so that shards add up."""

    error: float
    """Squared differences between the teacher's values and the stored ones."""
    energy: float
    """Squared distances of the teacher's values from their unit's mean (from 0 where tokens have masks)."""
    worst: float
    """The largest root of error over energy of any one unit, in any shard."""

    def join(self, other: Loss) -> Loss:
        """The loss of two shards together."""
        return Loss(self.error + other.error, self.energy + other.energy, max(self.worst, other.worst))

    @property
    def relative(self) -> float:
        """Root of error over energy: 0.01 is a hundredth of what the values vary by."""
        return (self.error / self.energy) ** 0.5 if self.energy else 0.0


def reconstruction(shards: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """How far a store's values are from the teacher's, by layer, from the `Loss` of each layer of each shard."""
    total: dict[str, Loss] = {}
    for shard in shards:
        for layer, sums in shard.items():
            total[layer] = total.get(layer, Loss(0.0, 0.0, 0.0)).join(Loss(*sums))
    return {layer: {"relative": loss.relative, "worst_unit": loss.worst} for layer, loss in total.items()}
