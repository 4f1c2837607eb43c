"""How little knowledge is enough: to serve as well as all of it, or to keep most of what it brings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

from hskd_lightning.study.stats.comparison import Equivalence, Judgement, equivalence
from hskd_lightning.study.stats.contrast import Contrast, Reading, contrast, difference
from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import check_share
from hskd_lightning.study.stats.marginal_utility import Curve, ascending
from hskd_lightning.study.stats.moderation import Variance
from hskd_lightning.study.stats.scores import BySeed


@dataclass(frozen=True)
class Least:
    """The least amount shown to serve as well as full HSK, or better, in one reading; None if none was.

    `verdict`, and the interval [low, high] of the difference from full HSK at level 1 - 2 alpha, are those at that
    amount (see `Judgement`); without one, `none serves` and nan. `passed`: amounts that serve, of all.
    """

    amount: float | None
    verdict: str
    n: int
    mean: float
    low: float
    high: float
    passed: int


@dataclass(frozen=True)
class Serving:
    """The least amount that serves, in both readings, of `tested` amounts below full HSK."""

    margin: float
    alpha: float
    tested: int
    seeds: Least
    sentences: Least | None

    @property
    def shown(self) -> Least:
        """What is meant without a word: new sentences, where these are known at all amounts."""
        return self.sentences or self.seeds


def judge(
    curve: Curve,
    full: BySeed | None = None,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    variance: Variance = "welch",
) -> dict[float, Equivalence]:
    """Every amount of a curve against full HSK, in ascending order.

    Args:
        full: scores of full HSK by seed. None: the largest amount is full HSK, and is not judged against itself.
        margin: the loss that does not matter.
        alpha: of each test.
        variance: see `contrast`.

    Raises:
        ConfigError: as `equivalence`, or a negative amount.
    """
    amounts = ascending(curve)
    if full is None and amounts:
        full = curve[amounts.pop()]
    return {amount: equivalence(curve[amount], full or {}, margin, alpha, variance) for amount in amounts}


def smallest_serving(
    curve: Curve,
    full: BySeed | None = None,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    variance: Variance = "welch",
) -> Serving:
    """The smallest amount that serves as well as full HSK together with all larger ones.

    Not the smallest that passes: of many amounts tested, the luckiest would be reported. Going down from the
    largest and stopping at the first that fails, every test may be made at the full alpha, and the chance that the
    reported amount is a false one is still at most alpha: the tests are in a fixed order (Maurer, Hothorn and
    Lehmacher 1995; Westfall and Krishen 2001). An amount with fewer than three seeds stops it as well.

    Args, Raises: as `judge`.
    """
    judged = judge(curve, full, margin, alpha, variance)
    seeds = {amount: each.seeds for amount, each in judged.items()}
    sentences = {amount: each.sentences for amount, each in judged.items() if each.sentences}
    least = _least(judged, sentences) if judged and len(sentences) == len(judged) else None
    return Serving(margin, alpha, len(judged), _least(judged, seeds), least)


def _least(judged: dict[float, Equivalence], reading: dict[float, Judgement]) -> Least:
    amount = min(takewhile(lambda amount: reading[amount].serves, reversed(reading)), default=None)
    passed = sum(each.serves for each in reading.values())
    if amount is None:
        return Least(None, "none serves", 0, math.nan, math.nan, math.nan, passed)
    at, of = reading[amount], judged[amount]
    return Least(amount, at.verdict, of.n, of.mean, at.low, at.high, passed)


def not_shown(judged: dict[float, Equivalence]) -> float | None:
    """The amount at which the way down ends: the largest that is not shown to serve; None where all are."""
    return next((amount for amount in reversed(judged) if not judged[amount].serves), None)


@dataclass(frozen=True)
class Bracket:
    """Measured amounts between which a share of the gain is reached for good.

    `low`: the largest amount that, with all smaller ones, is shown to keep less; 0 where none is, as no knowledge
    keeps nothing of the gain. `high`: the smallest that, with all larger ones, is shown to keep at least the share;
    infinite where the gain itself is not shown, for there may be none to keep.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Keeping:
    """The amounts that bracket `share` of the gain of full HSK over logits only, in both readings at `level`.

    `gain`: of full HSK, in units of score. `n`: the fewest seeds of an amount.
    `verdict`: kept, no gain, no baseline (the curve does not start at amount 0), or untested (fewer than two seeds).
    Where it is not `kept` the ends are nan.
    """

    share: float
    gain: float
    n: int
    level: float
    verdict: str
    seeds: Bracket
    sentences: Bracket | None

    @property
    def shown(self) -> Bracket:
        """What is meant without a word: new sentences, where these are known at all amounts."""
        return self.sentences or self.seeds


NOTHING = Bracket(math.nan, math.nan)


def smallest_keeping(curve: Curve, share: float = 0.9, level: float = LEVEL, variance: Variance = "welch") -> Keeping:
    """Between which amounts the curve comes to stay at or above logits + share * (full - logits).

    What an amount keeps beyond the share is linear in three means, so a `contrast` tests it without knowing the gain
    (as Fieller's interval does). Going up, amounts are tested to keep less, going down to keep at least the share, and
    either way ends at the first that is not shown: in a fixed order each end errs at most in half of 1 - level. Where
    the curve crosses between two amounts is not said; read off the mean curve with a bootstrap, it was covered in 71%
    by intervals of 95% of three seeds.

    Args:
        share: of the gain, between 0 and 1; the largest amount is full HSK.
        level: of the bracket.
        variance: see `contrast`.

    Raises:
        ConfigError: a negative amount, a score that is not finite, or a share or level out of range.
    """
    check_share("share", share)
    check_share("level", level)
    amounts = ascending(curve)
    n = min((len(curve[amount]) for amount in amounts), default=0)
    if len(amounts) < 2 or amounts[0] > 0:
        return Keeping(share, math.nan, n, level, "no baseline", NOTHING, None)
    baseline, full = curve[amounts[0]], curve[amounts[-1]]
    gain = difference(full, baseline, level, variance)
    if n < 2 or not gain.estimate > 0:
        verdict = "untested" if n < 2 else "no gain"
        return Keeping(share, gain.estimate, n, level, verdict, NOTHING, NOTHING if gain.sentences else None)
    beyond = {
        amount: contrast([(1, curve[amount]), (share - 1, baseline), (-share, full)], level, variance)
        for amount in amounts[1:-1]
    }
    seeds = _bracket(gain, beyond, amounts[-1], lambda each: each.seeds)
    known = all(each.sentences for each in (gain, *beyond.values()))
    sentences = _bracket(gain, beyond, amounts[-1], lambda each: each.reading) if known else None
    return Keeping(share, gain.estimate, n, level, "kept", seeds, sentences)


def _bracket(
    gain: Contrast, beyond: dict[float, Contrast], full: float, reading: Callable[[Contrast], Reading]
) -> Bracket:
    if not reading(gain).low > 0:
        return Bracket(0.0, math.inf)
    low = max(takewhile(lambda amount: reading(beyond[amount]).high < 0, beyond), default=0.0)
    high = min(takewhile(lambda amount: reading(beyond[amount]).low > 0, reversed(beyond)), default=full)
    return Bracket(low, high)
