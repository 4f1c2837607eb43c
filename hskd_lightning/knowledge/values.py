"""Values on disk: floats of three widths, int8 with a scale and an offset for each unit; and what each one loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.devices import float64
from hskd_lightning.errors import ConfigError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
CACHED = 128
"""Rows that are measured at a time on a CPU: their float64 stays in its cache, which is ten times as fast."""
STEPS = 254
"""int8 from -127 to 127: symmetric about the middle of a unit's range."""


@dataclass
class Range:
    """The smallest and largest value of each unit: a running (W,) pair."""

    low: Tensor
    high: Tensor

    @classmethod
    def of_nothing(cls, units: int) -> Range:
        return cls(torch.full((units,), torch.inf), torch.full((units,), -torch.inf))

    def widen(self, values: Tensor) -> None:
        """Take (N, W) values in."""
        if len(values):
            self.low = torch.minimum(self.low.to(values.device), values.amin(dim=0))
            self.high = torch.maximum(self.high.to(values.device), values.amax(dim=0))

    @property
    def offset(self) -> Tensor:
        """(W,) the middle, where a unit was seen: BERT's outlier units lie far from 0 and would waste the scale."""
        return ((self.low + self.high) / 2).nan_to_num(0.0, 0.0, 0.0)

    @property
    def scale(self) -> Tensor:
        """(W,) what one step of int8 is worth; never 0."""
        width = (self.high - self.low).nan_to_num(0.0, 0.0, 0.0).clamp(min=0)
        return (width / STEPS).clamp(min=torch.finfo(torch.float32).tiny)


def to_int8(values: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Values, scales and offsets of shapes that broadcast -> int8."""
    return ((values - offset) / scale).round().clamp(-127, 127).to(torch.int8)


def from_int8(values: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """int8, scales and offsets -> float32: undo `to_int8`, up to half a step."""
    return values.float() * scale + offset


def largest(values: Tensor) -> Tensor:
    """The largest magnitude of some values, nan if one is, where they are."""
    return torch.stack(torch.aminmax(values)).abs().max()


def check_holds(dtype: str, largest: float, key: str = "store.dtype") -> None:
    """Refuse a dtype that rounds the largest of some values to infinity; no value may be nan.

    Raises:
        ConfigError: it does.
    """
    if not torch.tensor(largest).to(DTYPES[dtype]).isfinite():
        raise ConfigError(key, dtype, f"a type that holds {largest:.4g}", f"write {key}=bf16 or {key}=fp32")


class Meter:
    """Measures what rounding costs one layer's values."""

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
    """What the dtype cost one layer of a shard, as sums, so that shards add up."""

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
