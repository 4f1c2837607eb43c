"""What a width strategy is, and what it turns into once the teacher's statistics are known."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from hskd_lightning.compress.keep import Counts, Keep
from hskd_lightning.errors import ConfigError

Masked = Literal["ignore", "zero"]
Reach = Literal["token", "example", "batch"]
HiddenValues = tuple[Tensor, Tensor | None]
Joined = tuple[Tensor, Tensor]
"""(P, d, W) weight and (P, 1, W) bias of a map from the student's width; or (1, d, W) and (1, 1, W), of all pairs."""


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of the teacher's kept hidden states, over all real tokens of the training split.

    All real tokens, whatever `length` keeps: the basis then stays the same along the length axis, and a store built
    for many tokens serves a request for fewer.
    """

    mean: Tensor  # (P, D) float64
    covariance: Tensor  # (P, D, D) float64

    @classmethod
    def of_nothing(cls, pairs: int, units: int) -> Moments:
        """Moments in shape alone, with no teacher behind them: nothing is computed of them, as a plan of hundreds of
        cells would otherwise decompose a matrix for each.
        """
        empty = functools.partial(torch.empty, dtype=torch.float64, device="meta")
        return cls(empty(pairs, units), empty(pairs, units, units))

    @property
    def variance(self) -> Tensor:
        """(P, D) variance of each unit."""
        return self.covariance.diagonal(dim1=-2, dim2=-1)


class UnitCode(Protocol):
    """Width, resolved: encodes the teacher's states, and looks at the student's in the same way.

    Between `encode` and `recall` the values go through bits, see `compress.bits`, and maybe to a disk and back.
    """

    def encode(self, states: Tensor) -> Tensor:
        """What is kept of the teacher's states (B, P, K, D): (B, P, K, W); all D where each token has its own units,
        which are then chosen by what bits leave of them.
        """
        ...

    def recall(self, values: Tensor, valid: Tensor, units: int, mask: Tensor | None = None) -> HiddenValues:
        """What the student is compared with, from what `encode` kept.

        Args:
            values: (B, P, K, W); or (B, P, K, D), zero off the mask, where there is one.
            valid: (B, P, K) bool.
            units: D.
            mask: (B, P, K, D) bool, the units that a store has of each token; None where it has them all.

        Returns:
            (B, P, K, W) values, and which of them count, or None where all do.
        """
        ...

    def view(self, states: Tensor) -> Tensor:
        """The student's states (B, P, K, D) -> (B, P, K, W), to be compared with `recall`'s values."""
        ...

    def joined(self, weight: Tensor, bias: Tensor, rows: int) -> Joined | None:
        """`view` after the learned map of (D, d) weight and (D,) bias as one map, so that no state is as wide as the
        teacher; None where it is none, or where to join them takes longer than it saves.

        Args:
            rows: how many tokens of each pair are looked at.
        """
        ...

    def to(self, device: torch.device) -> UnitCode:
        """The same for states that live on this device: what it multiplies or chooses by is put there, once."""
        ...

    def scalars(self, units: int) -> int:
        """Values kept per token, of D units."""
        ...

    def mask_bits(self, units: int) -> int:
        """Bits per token that say which units the values belong to; 0 where all tokens share them."""
        ...

    @property
    def fitted(self) -> dict[str, Tensor]:
        """What the fit found, each (P, ...) or (1, ...): a store keeps it beside the values that it encoded."""
        ...

    def refitted(self, stored: Mapping[str, Tensor]) -> UnitCode:
        """This code as part of a stored fit: the same number of units of its own, taken from the stored ones."""
        ...


class WidthStrategy(Protocol):
    """Chooses units or directions; `fit` is where the ones that need the teacher's statistics get them."""

    keep: Keep
    needs_moments: bool
    ordered: bool
    """Whether keeping fewer is part of keeping more, so that a store of many units answers for few."""
    reach: Reach
    """What a token's code depends on: itself, the example's other kept tokens, or the batch, which no store holds."""

    def fit(self, units: int, moments: Moments | None) -> UnitCode:
        """The code for D units.

        Raises:
            ConfigError: `keep` asks for more than D.
        """
        ...


def check_masked(masked: str) -> Masked:
    """Refuse a `width.masked` that is neither ignore nor zero."""
    if masked not in get_args(Masked):
        raise ConfigError("width.masked", masked, ", ".join(get_args(Masked)), "leave width.masked out")
    return masked  # type: ignore[return-value]


def check_counts(counts: str) -> Counts:
    """Refuse a `width.counts` that is neither rounded nor truncated."""
    if counts not in get_args(Counts):
        raise ConfigError("width.counts", counts, ", ".join(get_args(Counts)), "leave width.counts out")
    return counts  # type: ignore[return-value]


def generator(seed: int) -> torch.Generator:
    """A CPU generator: the same numbers on every device."""
    return torch.Generator().manual_seed(seed)
