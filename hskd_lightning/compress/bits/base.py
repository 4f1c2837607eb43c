"""What a bits strategy is, and the code that it turns into once a sample of the values is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from hskd_lightning.errors import ConfigError

Layout = dict[str, tuple[torch.dtype, tuple[int, ...]]]
"""The dtype and shape of each tensor, by its name."""
Fitted = Mapping[str, Tensor]
"""What a fit found, each tensor (P, ...)."""


class BitsCode(Protocol):
    """Bits, resolved: what is kept of a token's values, and what a student gets of it.

    A row of codes is what a store has of a token in a layer; `decode(encode(values))` is what is taught, from a store
    and from a teacher in memory alike.
    """

    def encode(self, values: Tensor) -> Tensor:
        """(B, P, K, W) float32 -> (B, P, K, C) codes."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """(B, P, K, C) codes -> (B, P, K, W) float32."""
        ...

    def to(self, device: torch.device) -> BitsCode:
        """The same for values that live on this device."""
        ...


class ElementCode(BitsCode, Protocol):
    """A code that has an element for each value: where each token has units of its own, only theirs are kept."""

    def elements(self, values: Tensor) -> Tensor:
        """(..., P, K, W) float32 -> an element each."""
        ...

    def restored(self, elements: Tensor) -> Tensor:
        """(..., P, K, W) elements -> float32: undo `elements`, as far as can be."""
        ...

    def packed(self, elements: Tensor) -> Tensor:
        """(..., n) elements as a store keeps them."""
        ...

    def taken(self, packed: Tensor, places: Tensor) -> Tensor:
        """The elements at (n,) places of a row of packed ones."""
        ...


class BitsStrategy(Protocol):
    """How finely values are said. One that is made for its values sees a sample of them in `fit`."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the codes."""
        ...

    @property
    def keep(self) -> int | None:
        """The budget of a token, where the user chooses it."""
        ...

    @property
    def element_bits(self) -> int | None:
        """Of an element, where the code is an `ElementCode`; None where a token's values are coded together."""
        ...

    @property
    def needs_sample(self) -> bool:
        """Whether there is something to fit."""
        ...

    @property
    def nested(self) -> bool:
        """Whether the codes of a smaller `keep` are the first of those of a larger one."""
        ...

    def columns(self, units: int) -> int:
        """C, the codes of a token of W units.

        Raises:
            ConfigError: `keep` asks for more than these values hold.
        """
        ...

    def layout(self, pairs: int, units: int) -> Layout:
        """The tensors of a fit."""
        ...

    def fit(self, sample: Tensor) -> dict[str, Tensor]:
        """Make the code for the values of P layer pairs: its tensors.

        Args:
            sample: (P, N, W) finite values of real tokens.

        Raises:
            ConfigError: there is too little to fit on.
        """
        ...

    def code(self, fitted: Fitted, units: int) -> BitsCode:
        """The code of a fit, or a smaller one that is part of it."""
        ...

    def fault(self, fitted: Fitted) -> str | None:
        """What makes tensors of the right layout no fit; None: nothing."""
        ...

    def check_ready(self) -> None:
        """Refuse a fit that cannot be made, before a teacher is trained for it.

        Raises:
            ConfigError: a package is missing.
        """
        ...


def check_budget(keep: object, most: int, what: str) -> int:
    """A `bits.keep`: a whole number of what the values of a token can take.

    Raises:
        ConfigError: it is not, or is more than `most`.
    """
    whole = isinstance(keep, int) and not isinstance(keep, bool)
    if not whole or not 1 <= keep <= most:  # type: ignore[operator]
        allowed = f"a whole number of {what} a token, from 1 up to {most}"
        raise ConfigError("bits.keep", keep, allowed, f"write bits.keep={most} for the most")
    return keep  # type: ignore[return-value]


def check_finite(sample: Tensor) -> None:
    """Refuse to fit on values that no code can say.

    Raises:
        ConfigError: a value is not finite.
    """
    if not bool(sample.isfinite().all()):
        remedy = "use a teacher whose hidden states are finite"
        raise ConfigError("teacher", "a hidden state with inf or nan", "finite values, to fit bits on", remedy)
