"""`keep`: how much of an axis is kept. A whole number counts, a decimal fraction is a share, null is everything."""

from __future__ import annotations

from hskd_lightning.errors import ConfigError

Keep = int | float | None


def check_keep(key: str, keep: Keep, total: int | None = None) -> Keep:
    """Refuse a `keep` outside its range, in the place where it was typed.

    Args:
        key: the configuration key, e.g. ``width.keep``.
        keep: a count >= 1, a share in (0, 1], or None.
        total: what there is to keep, where it is known before any data is seen.

    Raises:
        ConfigError: out of range.
    """
    most = "" if total is None else f" up to {total}"
    allowed = f"a whole number from 1{most}, a share like 0.25 (above 0, at most 1.0), or null for everything"
    if keep is None:
        return None
    if isinstance(keep, bool) or not isinstance(keep, int | float):
        raise ConfigError(key, keep, allowed, f"write {key}=4 or {key}=0.25")
    too_large = keep > 1 if isinstance(keep, float) else total is not None and keep > total
    if not keep > 0 or too_large:  # so written, it refuses nan too
        raise ConfigError(key, keep, allowed, f"leave {key} out to keep everything")
    return keep


def count_kept(keep: Keep, total: int) -> int:
    """The number kept of `total`: a share is rounded to the nearest, and never to nothing."""
    if keep is None:
        return total
    if isinstance(keep, float):
        return max(1, round(keep * total))
    return min(keep, total)
