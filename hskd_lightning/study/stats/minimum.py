"""How little knowledge is enough: to serve as well as all of it, or to keep most of what it brings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from hskd_lightning.study.stats.comparison import Equivalence, equivalence
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import (
    bootstrap_interval,
    check_share,
    mean_curve,
    resampled_means,
)
from hskd_lightning.study.stats.marginal_utility import Curve, ascending, on_shared_seeds
from hskd_lightning.study.stats.scores import Array, BySeed


@dataclass(frozen=True)
class Serving:
    """The least amount shown to serve as well as full HSK, or better; None if none was.

    `verdict`, and the mean difference from full HSK with its interval [low, high] at level 1 - 2 alpha over `n`
    seeds, are those at that amount (see `Equivalence`); without one, `none serves` and nan. `passed` of `tested`
    amounts serve.
    """

    amount: float | None
    verdict: str
    n: int
    mean: float
    low: float
    high: float
    margin: float
    alpha: float
    passed: int
    tested: int


def judge(
    curve: Curve, full: BySeed | None = None, margin: float = MARGIN, alpha: float = ALPHA
) -> dict[float, Equivalence]:
    """Every amount of a curve against full HSK, in ascending order.

    Args:
        full: scores of full HSK by seed. None: the largest amount is full HSK, and is not judged against itself.
        margin: the loss that does not matter.
        alpha: of each test.

    Raises:
        ConfigError: as `equivalence`, or a negative amount.
    """
    amounts = ascending(curve)
    if full is None and amounts:
        full = curve[amounts.pop()]
    return {amount: equivalence(curve[amount], full or {}, margin, alpha) for amount in amounts}


def smallest_serving(curve: Curve, full: BySeed | None = None, margin: float = MARGIN, alpha: float = ALPHA) -> Serving:
    """The smallest amount that serves as well as full HSK together with all larger ones.

    Not the smallest that passes: of many amounts tested, the luckiest would be reported. Going down from the
    largest and stopping at the first that fails, every test may be made at the full alpha, and the chance that the
    reported amount is a false one is still at most alpha: the tests are in a fixed order (Maurer, Hothorn and
    Lehmacher 1995; Westfall and Krishen 2001). An amount with fewer than two shared seeds stops it as well.

    Args, Raises: as `judge`.
    """
    judged = judge(curve, full, margin, alpha)
    amount = min(takewhile(lambda amount: judged[amount].serves, reversed(judged)), default=None)
    test = equivalence({}, {}, margin, alpha) if amount is None else judged[amount]
    verdict = "none serves" if amount is None else test.verdict
    passed = sum(each.serves for each in judged.values())
    return Serving(amount, verdict, test.n, test.mean, test.low, test.high, margin, alpha, passed, tested=len(judged))


@dataclass(frozen=True)
class Keeping:
    """The amount that keeps `share` of the gain of full HSK over logits only; None if there is none to keep.

    `gain`: of full HSK, in units of score. [low, high]: bootstrap interval at `level` of the amount over `n` seeds.
    An infinite end says that, as far as these seeds tell, there may be no gain to keep.
    `verdict`: kept, no gain, no baseline (the curve does not start at amount 0), or no shared seed.
    """

    amount: float | None
    low: float
    high: float
    share: float
    gain: float
    n: int
    level: float
    verdict: str


def smallest_keeping(
    curve: Curve, share: float = 0.9, level: float = LEVEL, resamples: int = 2000, seed: int = 0
) -> Keeping:
    """The amount from which on the mean curve stays at or above logits + share * (full - logits).

    The curve runs straight between measured amounts; its largest amount is full HSK. Where it dips again below the
    line the later crossing counts, as in `smallest_serving`: the first would be the luckiest.

    Args:
        share: of the gain, between 0 and 1.
        level, resamples, seed: of the bootstrap interval; seeds are resampled whole.

    Raises:
        ConfigError: a negative amount, a score that is not finite, or a share, level or resamples out of range.
    """
    check_share("share", share)
    check_share("level", level)
    amounts, scores = on_shared_seeds(curve)
    n = len(scores)
    if n == 0 or amounts[0] > 0:
        verdict = "no baseline" if n else "no shared seed"
        return Keeping(None, math.nan, math.nan, share, math.nan, n, level, verdict)
    means = mean_curve(scores)
    gain = float(means[-1] - means[0])
    if not gain > 0:
        return Keeping(None, math.nan, math.nan, share, gain, n, level, "no gain")
    again = np.array([_crossing(amounts, drawn, share) for drawn in resampled_means(scores, resamples, seed)])
    low, high = bootstrap_interval(again, n, level)
    return Keeping(_crossing(amounts, means, share), low, high, share, gain, n, level, "kept")


def _crossing(amounts: Array, means: Array, share: float) -> float:
    """Where a curve (A,) last rises to its share of the gain; infinite for one without gain."""
    if not means[-1] > means[0]:
        return math.inf
    target = means[0] + share * (means[-1] - means[0])
    last = int(np.flatnonzero(means < target)[-1])  # the first point lies below, the last does not
    part = (target - means[last]) / (means[last + 1] - means[last])
    return float(amounts[last] + part * (amounts[last + 1] - amounts[last]))
