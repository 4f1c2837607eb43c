"""The forms a fitted width strategy takes: everything, a projection, a mask shared by all tokens, a mask per token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hskd_lightning.compress.counts import counts_kept
from hskd_lightning.compress.keep import Count, Counts, Keep
from hskd_lightning.compress.width.base import HiddenValues, Joined, Masked, Reach

Ties = Literal["first", "all"]


class EveryUnit:
    """All D units as they are."""

    def encode(self, states: Tensor) -> Tensor:
        return states

    def recall(self, values: Tensor, valid: Tensor, units: int, mask: Tensor | None = None) -> HiddenValues:
        return values, None

    def view(self, states: Tensor) -> Tensor:
        return states

    def joined(self, weight: Tensor, bias: Tensor, rows: int) -> None:
        return None

    def to(self, device: torch.device) -> EveryUnit:
        return self

    def scalars(self, units: int) -> int:
        return units

    def mask_bits(self, units: int) -> int:
        return 0

    @property
    def fitted(self) -> dict[str, Tensor]:
        return {}

    def refitted(self, stored: Mapping[str, Tensor]) -> EveryUnit:
        return self


class Projection:
    """Coordinates in W orthonormal directions, after the mean is taken off: teacher and student alike."""

    def __init__(self, mean: Tensor, directions: Tensor) -> None:
        self.mean = mean.float()  # (P, D), or (1, D) shared by all pairs
        self.directions = directions.float()  # (P, D, W), or (1, D, W)

    def encode(self, states: Tensor) -> Tensor:
        return self.view(states)

    def recall(self, values: Tensor, valid: Tensor, units: int, mask: Tensor | None = None) -> HiddenValues:
        return values, None

    def view(self, states: Tensor) -> Tensor:
        mean = self.mean.to(states)[:, None]  # (P, 1, D)
        return by_pair(states - mean, self.directions.to(states))  # (B, P, K, W)

    def joined(self, weight: Tensor, bias: Tensor, rows: int) -> Joined | None:
        (wide, narrow), kept = weight.shape, self.directions.shape[-1]  # D, d, W
        if wide * narrow * kept + rows * narrow * kept > rows * wide * (narrow + kept):
            return None
        directions = self.directions.to(weight).mT  # (P, W, D)
        offset = (bias - self.mean.to(bias))[..., None]  # (P, D, 1)
        return (directions @ weight).mT, (directions @ offset).mT

    def to(self, device: torch.device) -> Projection:
        return Projection(self.mean.to(device), self.directions.to(device))

    def scalars(self, units: int) -> int:
        return self.directions.shape[-1]

    def mask_bits(self, units: int) -> int:
        return 0

    @property
    def fitted(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "directions": self.directions}

    def refitted(self, stored: Mapping[str, Tensor]) -> Projection:
        return Projection(stored["mean"], stored["directions"][..., : self.directions.shape[-1]])


class StaticMask:
    """A fixed set of units. `masked=ignore` compares these W units alone; `zero` is the paper's: all D are compared,
    and the teacher's are zero off the mask, which pulls the student to zero there.
    """

    def __init__(self, units: Tensor, masked: Masked) -> None:
        self.units = units  # (P, W) int64, or (1, W) shared by all pairs
        self.masked = masked

    def encode(self, states: Tensor) -> Tensor:
        return self._take(states)

    def recall(self, values: Tensor, valid: Tensor, units: int, mask: Tensor | None = None) -> HiddenValues:
        return (values if self.masked == "ignore" else self._place(values, units)), None

    def view(self, states: Tensor) -> Tensor:
        return self._take(states) if self.masked == "ignore" else states

    def joined(self, weight: Tensor, bias: Tensor, rows: int) -> Joined | None:
        if self.masked == "zero":
            return None
        units = self.units.to(weight.device)
        return weight[units].mT, bias[units][:, None]

    def to(self, device: torch.device) -> StaticMask:
        return StaticMask(self.units.to(device), self.masked)

    def scalars(self, units: int) -> int:
        return self.units.shape[-1]

    def mask_bits(self, units: int) -> int:
        return 0

    @property
    def fitted(self) -> dict[str, Tensor]:
        return {"units": self.units}

    def refitted(self, stored: Mapping[str, Tensor]) -> StaticMask:
        return StaticMask(stored["units"][:, : self.units.shape[-1]], self.masked)

    def _place(self, values: Tensor, units: int) -> Tensor:
        """(B, P, K, W) -> (B, P, K, D), zero off the mask."""
        zeros = values.new_zeros(*values.shape[:-1], units)
        return zeros.scatter(-1, self._index(values), values)

    def _index(self, states: Tensor) -> Tensor:
        units = self.units.to(states.device)[:, None]  # (P, 1, W)
        return units.expand(*states.shape[:-1], -1)  # (B, P, K, W)

    def _take(self, states: Tensor) -> Tensor:
        return states.gather(-1, self._index(states))


@dataclass(frozen=True)
class LargestMask:
    """The units of largest magnitude, another set for every token.

    With `ties=all`, for reach=batch alone, it is so many and whatever is as large as the last of them.
    """

    keep: Keep
    units: int  # D
    reach: Reach
    masked: Masked
    counts: Counts = "rounded"
    ties: Ties = "first"

    def encode(self, states: Tensor) -> Tensor:
        return states

    def recall(self, values: Tensor, valid: Tensor, units: int, mask: Tensor | None = None) -> HiddenValues:
        if mask is not None and not self._has_more(mask, valid, units):
            return values, mask if self.masked == "ignore" else None
        if self.mask_bits(units) == 0:
            return values, None
        kept = self._largest(values.abs(), valid)  # (B, P, K, D) bool
        return values.masked_fill(~kept, 0.0), kept if self.masked == "ignore" else None

    def view(self, states: Tensor) -> Tensor:
        return states

    def joined(self, weight: Tensor, bias: Tensor, rows: int) -> None:
        return None

    def to(self, device: torch.device) -> LargestMask:
        return self

    def scalars(self, units: int) -> int:
        return int(self._budget(torch.tensor(units)))

    def mask_bits(self, units: int) -> int:
        return units if self.scalars(units) < units else 0

    @property
    def fitted(self) -> dict[str, Tensor]:
        return {}

    def refitted(self, stored: Mapping[str, Tensor]) -> LargestMask:
        return self

    def _has_more(self, mask: Tensor, valid: Tensor, units: int) -> bool:
        """Whether a store keeps more of each token than this."""
        return self.reach == "token" and int(mask.sum()) > int(valid.sum()) * self.scalars(units)

    def _largest(self, size: Tensor, valid: Tensor) -> Tensor:
        """True on the largest entries of each token, of each example's tokens, or of the whole batch's, per pair."""
        batch, pairs, tokens, units = size.shape
        size = size.masked_fill(~valid[..., None], -1.0)  # tokens that are not there are never the largest
        per_token = valid.long() * units  # (B, P, K)
        if self.reach == "token":
            return _top(size, torch.full_like(per_token, self.scalars(units)))
        if self.reach == "example":
            budget = self._budget(per_token.sum(-1))  # (B, P)
            return _top(size.flatten(2), budget).view(batch, pairs, tokens, units)
        by_pair = size.transpose(0, 1).flatten(1)  # (P, B * K * D)
        budget = self._budget(per_token.sum((0, 2)))  # (P,)
        kept = _top(by_pair, budget) if self.ties == "first" else _from_threshold(by_pair, budget)
        return kept.view(pairs, batch, tokens, units).transpose(0, 1)

    def _budget(self, present: Tensor) -> Tensor:
        """How many are kept of so many values. A count is per token: over a wider scope, once for each token."""
        if self.reach != "token" and isinstance(self.keep, Count):
            return self.keep.number * present // self.units
        return counts_kept(self.keep, present, self.counts)


def by_pair(states: Tensor, maps: Tensor) -> Tensor:
    """(B, P, K, D) by (P, D, W), or by (1, D, W) shared by all pairs -> (B, P, K, W): one product a pair, where a plain
    product would make one of every example, many small ones.
    """
    if len(maps) == 1:
        return states @ maps[0]
    return torch.einsum("bpkd,pdw->bpkw", states, maps)


def _top(size: Tensor, count: Tensor) -> Tensor:
    """Bool of `size`'s shape, true on the `count` largest of its last axis; `count` has one number per row."""
    order = size.argsort(dim=-1, descending=True, stable=True)
    ranked = torch.arange(size.shape[-1], device=size.device) < count[..., None]  # by rank
    return torch.zeros_like(ranked.expand_as(size)).scatter(-1, order, ranked.expand_as(size))


def _from_threshold(size: Tensor, count: Tensor) -> Tensor:
    """As `_top`, and true on every entry that is as large as the last of these: the released code's `>= threshold`."""
    threshold = size.sort(dim=-1, descending=True).values.gather(-1, count[..., None] - 1)
    return size >= threshold
