"""Seeds that failed to learn: they are pointed at, and counted like any other."""

from __future__ import annotations

import statistics

from hskd_lightning.study.stats.defaults import COLLAPSED
from hskd_lightning.study.stats.intervals import DECIMALS
from hskd_lightning.study.stats.scores import BySeed


def collapsed(scores: BySeed, drop: float = COLLAPSED) -> tuple[int, ...]:
    """The seeds whose score lies `drop` or more below the median of their setting, ascending.

    A mean with one of them in it is no typical score, and its interval is wide for that reason; without it, the mean
    would be of the runs that went well.
    """
    if not scores:
        return ()
    least = statistics.median(scores.values()) - drop
    return tuple(sorted(seed for seed, score in scores.items() if round(score - least, DECIMALS) <= 0))
