"""What a width strategy is, and what it turns into once the teacher's statistics are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from hskd_lightning.compress.keep import Keep
from hskd_lightning.errors import ConfigError

Masked = Literal["ignore", "zero"]


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of the teacher's kept hidden states, over all real tokens of the training split.

    All real tokens, whatever `length` keeps: the basis then stays the same along the length axis, and a store built
    for many tokens serves a request for fewer.
    """

    mean: Tensor  # (P, D) float64
    covariance: Tensor  # (P, D, D) float64

    @property
    def variance(self) -> Tensor:
        """(P, D) variance of each unit."""
        return self.covariance.diagonal(dim1=-2, dim2=-1)


class UnitCode(Protocol):
    """Width, resolved: encodes the teacher's states, and looks at the student's in the same way."""

    def encode(self, states: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, P, K, D) and (B, P, K) -> values (B, P, K, W), and which of them count, or None where all do."""
        ...

    def view(self, states: Tensor) -> Tensor:
        """The student's states (B, P, K, D) -> (B, P, K, W), to be compared with `encode`'s values."""
        ...

    def scalars(self, units: int) -> int:
        """Values kept per token, of D units."""
        ...

    def mask_bits(self, units: int) -> int:
        """Bits per token that say which units the values belong to; 0 where all tokens share them."""
        ...


class WidthStrategy(Protocol):
    """Chooses units or directions; `fit` is where the ones that need the teacher's statistics get them."""

    keep: Keep
    needs_moments: bool
    offline: bool
    """False when an example's code depends on the others in its batch: no store can hold it."""

    def fit(self, units: int, moments: Moments | None) -> UnitCode:
        """The code for D units.

        Raises:
            ConfigError: `keep` asks for more than D.
        """
        ...


def check_masked(masked: str) -> Masked:
    """Refuse a `masked` that is neither of the two."""
    if masked not in get_args(Masked):
        raise ConfigError("width.masked", masked, ", ".join(get_args(Masked)), "leave width.masked out")
    return masked  # type: ignore[return-value]


def generator(seed: int) -> torch.Generator:
    """A CPU generator: the same numbers on every device."""
    return torch.Generator().manual_seed(seed)
