"""`hsk.path`: how one number, `hsk.amount`, is shared out over depth, length and width.

Depth is the coarsest axis, so every path rounds it first, to a count of layer pairs, and the others make up for the
rounding: with P pairs of full HSK and k of them kept, they have a * P / k to share. What differs is who pays::

    equal          depth, length and width alike                    k = a^(1/3) P, length = width = (a P / k)^(1/2)
    depth_fixed    length and width; depth stays at depth.keep      k as given,    length = width = (a P / k)^(1/2)
    tokens_first   depth and width, as long as a unit is left       k = a^(1/2) P, width = a P / k, length = 1
    units_first    depth and length, as long as a token is left     k = a^(1/2) P, length = a P / k, width = 1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from hskd_lightning.compress.keep import Spelled, check_keep, count_kept
from hskd_lightning.errors import ConfigError
from hskd_lightning.settings.types import PathName

EQUAL: PathName = "equal"
"""The path of a configuration that says nothing of it."""
TOKEN = 0.1
"""The share of the tokens down to which length pays: one of ten. Plans are made before anybody counts the tokens of a
text, and a share that is less than one token is rounded up to it, so that less is not kept where less is asked for."""
Shares = dict[str, Spelled]
"""`keep` by axis: a count of layer pairs, a share of the tokens and of the units."""


@dataclass(frozen=True)
class Room:
    """What an amount can be spent on."""

    given: Mapping[str, Spelled]
    """The axes (depth, length, width) whose strategy has a `keep`, with what the user spelled, or None."""
    offered: int
    """Layer pairs that the depth strategy offers."""
    pairs: int
    """Layer pairs of full HSK, S+1."""
    units: int
    """D."""

    @property
    def fine(self) -> list[str]:
        """The axes that are shared out without rounding."""
        return [axis for axis in ("length", "width") if axis in self.given]


Path = Callable[[float, Room], Shares]


def equal(amount: float, room: Room) -> Shares:
    """All axes that can be compressed share the amount equally, amount^(1/n) each."""
    shares, left = _depth(amount, room, payers=len(room.given))
    return shares | _alike(room.fine, left)


def depth_fixed(amount: float, room: Room) -> Shares:
    """Depth stays as it is given, and length and width share what is left; `equal`, where it is not given.

    Raises:
        ConfigError: so few layers cannot hold the amount, all of their tokens and units kept.
    """
    keep = room.given.get("depth")
    if keep is None:
        return equal(amount, room)
    kept = count_kept(check_keep("depth.keep", keep), room.offered)
    left = amount * room.pairs / kept
    if left > 1:
        allowed = f"up to {kept / room.pairs:.3g} with hsk.path=depth_fixed and {kept} of {room.pairs} layer pairs"
        raise ConfigError("hsk.amount", amount, allowed, "keep more layers with depth.keep, or ask for less")
    return {"depth": keep} | _alike(room.fine, left)


def _favouring(favourite: str, amount: float, room: Room) -> Shares:
    """Depth and the other fine axis pay; the favourite pays what they cannot."""
    shares, left = _depth(amount, room, payers=len([axis for axis in room.given if axis != favourite]))
    least = {"length": TOKEN, "width": 1 / room.units}
    for axis in sorted(room.fine, key=lambda axis: axis == favourite):
        paid = left if axis == favourite else max(left, least[axis])
        shares[axis], left = paid, min(1.0, left / paid)
    return shares


PATHS: Mapping[PathName, Path] = {
    EQUAL: equal,
    "depth_fixed": depth_fixed,
    "tokens_first": partial(_favouring, "length"),
    "units_first": partial(_favouring, "width"),
}
FAVOURITES = {"depth_fixed": "depth", "tokens_first": "length", "units_first": "width"}
"""The axis without whose `keep` a path has nothing to favour."""


def settle(path: PathName, amount: float | None, given: Mapping[str, Spelled]) -> PathName:
    """The path's name, or `equal` where it is that one by another name: two spellings of one cell get one id.

    That is so where there is no amount to share out or all of it is kept, where fewer than two axes can pay, and where
    the axis that the path favours has no `keep`. `depth_fixed` without a `depth.keep` has no depth to hold fast.
    """
    favourite = FAVOURITES.get(path)
    idle = amount is None or amount == 1 or len(given) < 2 or favourite not in given
    return EQUAL if idle or (favourite == "depth" and given["depth"] is None) else path


def _depth(amount: float, room: Room, payers: int) -> tuple[Shares, float]:
    """Depth's part among so many that pay, rounded, and what the other axes have to keep between them."""
    if "depth" not in room.given:
        return {}, amount
    kept = min(room.offered, max(1, round(amount ** (1 / payers) * room.pairs)))
    return {"depth": kept}, min(1.0, amount * room.pairs / kept)


def _alike(axes: list[str], left: float) -> Shares:
    return {axis: left ** (1 / len(axes)) for axis in axes}
