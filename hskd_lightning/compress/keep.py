"""`keep`: how much of an axis is kept. A whole number counts, a decimal fraction is a share, null is everything.

Python holds 1 and 1.0 for equal, and 1 is one token where 1.0 is all of them. So what the user spells is turned into a
`Keep` where it enters the program, by `check_keep`, and nothing behind that compares, hashes or prints bare numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hskd_lightning.errors import ConfigError


@dataclass(frozen=True, order=True)
class Count:
    """A `keep` of so many, whatever there is."""

    number: int


@dataclass(frozen=True, order=True)
class Share:
    """A `keep` of a part of what there is, less than all of it: all of it is None, so that it has one spelling."""

    part: float

    def __post_init__(self) -> None:
        assert 0 < self.part < 1, "check_keep is where shares are made"


Keep = Count | Share | None
"""How much of an axis is kept: a count, a share, or None for everything."""
Spelled = int | float | Count | Share | None
"""A `keep` as YAML, the command line and JSON have it; `check_keep` takes what is a `Keep` already as well."""
Counts = Literal["rounded", "truncated"]
"""How a share becomes a number: to the nearest, or as the released code does, which drops the fraction."""


def check_keep(key: str, keep: Spelled, total: int | None = None) -> Keep:
    """Read a `keep`, and refuse one outside its range, in the place where it was typed.

    The share 1.0 becomes None: on every axis, `depth.top` included, all of what there is.

    Args:
        key: the configuration key, e.g. ``width.keep``.
        keep: a count >= 1, a share in (0, 1], or None.
        total: what there is to keep, where it is known before any data is seen.

    Raises:
        ConfigError: out of range.
    """
    most = "" if total is None else f" up to {total}"
    allowed = f"a whole number from 1{most}, a share like 0.25 (above 0, at most 1.0), or null for everything"
    number = as_number(keep) if isinstance(keep, Count | Share) else keep
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ConfigError(key, number, allowed, f"write {key}=4 or {key}=0.25")
    too_large = number > 1 if isinstance(number, float) else total is not None and number > total
    if not number > 0 or too_large:  # so written, it refuses nan too
        left_out = "its share of hsk.amount" if key.endswith(".keep") else "everything"
        raise ConfigError(key, number, allowed, f"write {key}=1.0 for everything; left out, it is {left_out}")
    if isinstance(number, int):
        return Count(number)
    return Share(number) if number < 1 else None


def as_number(keep: Keep) -> int | float | None:
    """A `keep` as YAML, JSON and a result's flat columns spell it: 4, 0.25 or null."""
    if keep is None:
        return None
    return keep.number if isinstance(keep, Count) else keep.part


def said(keep: Keep, what: str) -> str:
    """A `keep` for a person to read: 1 token, 10 tokens, 25% of the tokens, all tokens.

    Args:
        what: one of what is kept.
    """
    if keep is None:
        return f"all {what}s"
    if isinstance(keep, Share):
        return f"{100 * keep.part:.3g}% of the {what}s"
    return f"{keep.number:,} {what}" + ("" if keep.number == 1 else "s")


def count_kept(keep: Keep, total: int, counts: Counts = "rounded") -> int:
    """The number kept of `total`. A share is never rounded, or truncated, to nothing.

    Truncated is int(total * share) to the last bit, as in the released code: 0.29 of 100 is 28.999999999999996, so 28.
    """
    if keep is None:
        return total
    if isinstance(keep, Share):
        return max(1, (round if counts == "rounded" else int)(keep.part * total))
    return min(keep.number, total)


def includes(kept: Keep, asked: Keep) -> bool:
    """Whether keeping `kept` always includes keeping `asked`: a count and a share have no order."""
    if isinstance(kept, Count) and isinstance(asked, Count):
        return kept >= asked
    if isinstance(kept, Share) and isinstance(asked, Share):
        return kept >= asked
    return kept is None


def least_including(one: Keep, other: Keep) -> Keep:
    """The least keep that includes both: everything, for a count and a share."""
    if includes(one, other):
        return one
    return other if includes(other, one) else None
