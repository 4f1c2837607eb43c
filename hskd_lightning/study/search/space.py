"""The settings that a search chooses from: layers x tokens x how a token's values are said, each with its bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hskd_lightning.study.stats.intervals import Array

AXES = ("depth", "length", "code")
"""Of the space. `code` is units x bits: how a kept token is said, and so what it weighs in a layer."""


@dataclass(frozen=True)
class Candidate:
    """A setting of the space; the baseline without hidden states has neither keeps nor families."""

    name: str
    """For a person to read: 1 layer, 40% of the tokens, 16 bytes a token."""
    overrides: tuple[str, ...]
    """What its cells are made of, the seed left out."""
    bytes: float
    """Of knowledge an example."""
    keeps: tuple[float, ...] = ()
    """What is kept along each of AXES, as a share of full HSK's: layers, tokens, bits of a token."""
    families: tuple[str, ...] = ()
    """The strategy along each of AXES: settings of one family differ in their keep alone. Full HSK is of its own:
    it need not be the best."""
    shared: float = 0.0
    """Bytes of what all examples share (components, masks, codebooks), divided by their number; not part of `bytes`."""


@dataclass(frozen=True)
class Trial:
    """A setting and a seed: one cell."""

    candidate: Candidate
    seed: int


@dataclass(frozen=True)
class Space:
    """All there is to choose from, by rising bytes, and the two ends that are always run."""

    candidates: tuple[Candidate, ...]
    full: Candidate
    logits: Candidate

    def within(self, budget: float | None) -> tuple[Candidate, ...]:
        """The settings of at most so many bytes; None: those that are smaller than full HSK."""
        if budget is None:
            return tuple(each for each in self.candidates if each.bytes < self.full.bytes)
        return tuple(each for each in self.candidates if each.bytes <= budget)

    @cached_property
    def families(self) -> tuple[tuple[str, ...], ...]:
        """The families along each of AXES, full HSK's own among them."""
        every = [*self.candidates, self.full]
        return tuple(tuple(dict.fromkeys(each.families[axis] for each in every)) for axis in range(len(AXES)))

    def places(self, candidates: Sequence[Candidate]) -> Array:
        """(N, A) logs of the keeps; -inf where nothing is kept."""
        shares = [each.keeps or (0.0,) * len(AXES) for each in candidates]
        with np.errstate(divide="ignore"):
            return np.log(np.array(shares, dtype=float).reshape(len(candidates), len(AXES)))

    def codes(self, candidates: Sequence[Candidate]) -> np.ndarray:
        """(N, A) int: which family along each axis; 0 for the logits alone, where it does not matter."""
        numbers: list[Mapping[str, int]] = [{name: at for at, name in enumerate(names)} for names in self.families]
        rows = [[number[name] for number, name in zip(numbers, each.families, strict=False)] for each in candidates]
        return np.array([row or [0] * len(AXES) for row in rows], dtype=int).reshape(len(candidates), len(AXES))


def spread(candidates: Sequence[Candidate], places: Array, count: int) -> list[Candidate]:
    """A space-filling handful: each next one is farthest from those before it, in the logs of the keeps.

    The first is in the middle of the bytes. Settings of different families count as far apart as half an axis is long.
    """
    if not candidates:
        return []
    span = np.ptp(places, axis=0)
    scaled = places / np.where(span > 0, span, 1.0)
    families = np.array([each.families for each in candidates])
    chosen = [len(candidates) // 2]
    while len(chosen) < min(count, len(candidates)):
        apart = [
            ((scaled - scaled[at]) ** 2).sum(axis=1) + 0.25 * (families != families[at]).sum(axis=1) for at in chosen
        ]
        nearest = np.min(apart, axis=0)
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
    return [candidates[at] for at in chosen]
