"""The engine of every claim: a weighted sum of settings' mean scores, and how sure it is.

Two sources of noise, two readings. `seeds`: would other seeds say the same of *these sentences*? `sentences`: would
other seeds and other sentences? The second is wider, and is what a claim without a word means.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from hskd_lightning.study.stats.defaults import LEVEL
from hskd_lightning.study.stats.intervals import DECIMALS, check_share
from hskd_lightning.study.stats.moderation import Variance
from hskd_lightning.study.stats.scores import Array, BySeed, Scores, checked, scores_of


@dataclass(frozen=True)
class Reading:
    """An estimate for one source of noise: standard error, degrees of freedom, interval [low, high] at `level`.

    All but the estimate are nan where a setting has fewer than two seeds.
    """

    estimate: float
    se: float
    df: float
    low: float
    high: float
    level: float

    def p_above(self, bound: float) -> float:
        """One-sided t test of `the truth is at most bound`: small if it lies above."""
        return self._p_beyond(self.estimate - bound)

    def p_below(self, bound: float) -> float:
        """One-sided t test of `the truth is at least bound`: small if it lies below."""
        return self._p_beyond(bound - self.estimate)

    def _p_beyond(self, excess: float) -> float:
        """Without any spread the limit: 0 if the estimate is beyond, else 1."""
        if self.se == 0:
            return 0.0 if round(excess, DECIMALS) > 0 else 1.0
        return float(stdtr(self.df, -excess / self.se))


@dataclass(frozen=True)
class Contrast:
    """An estimate with its readings; `n`: the fewest seeds of a setting in it.

    `seeds` is of these sentences, `sentences` of new ones; None where the predictions of a setting are not known.
    """

    estimate: float
    n: int
    seeds: Reading
    sentences: Reading | None

    @property
    def reading(self) -> Reading:
        """What `shown` without a word means: new sentences, where these are known."""
        return self.sentences or self.seeds


def contrast(terms: Sequence[tuple[float, BySeed]], level: float = LEVEL, variance: Variance = "welch") -> Contrast:
    """The sum of weight * mean score over settings.

    Seeds are not paired: the same number starts other weights in another setting, and was measured to share nothing
    (a correlation of -0.14 over the seeds of SST-2). So every setting brings its own variance, with the degrees of
    freedom of Welch (1947) and Satterthwaite (1946). An sd is never taken for less than one dev example's worth: seeds
    that agree by chance are not sure.

    Examples are paired, for they are the same in every setting. Seeds and examples are crossed random effects: the
    variance of the weighted example means has that of the examples and of the residual in it, the variance over seeds
    that of the seeds and of the residual; the sum of both has the residual twice, and once is taken off.

    Args:
        terms: (weight, scores) of settings that are all different.
        level: of the intervals, two-sided.
        variance: `welch`, or a `Prior` (see `moderation`).

    Raises:
        ConfigError: a score is not a finite number, or level is not between 0 and 1.
    """
    check_share("level", level)
    known = [(weight, scores_of(checked(scores))) for weight, scores in terms]
    n = min((len(scores) for _, scores in known), default=0)
    estimate = _estimate(known) if n else math.nan
    if n < 2:
        nothing = _reading(estimate, math.nan, math.nan, level)
        return Contrast(estimate, n, nothing, nothing if n and _same_examples(known) else None)
    parts = [_of_seeds(weight, scores, variance) for weight, scores in known]
    seeds = _summed(estimate, parts, level)
    if not _same_examples(known):
        return Contrast(estimate, n, seeds, None)
    return Contrast(estimate, n, seeds, _wider(_summed(estimate, [*parts, *_of_examples(known)], level), seeds))


def difference(scores: BySeed, reference: BySeed, level: float = LEVEL, variance: Variance = "welch") -> Contrast:
    """`scores` minus `reference`."""
    return contrast([(1, scores), (-1, reference)], level, variance)


def _wider(crossed: Reading, seeds: Reading) -> Reading:
    """New sentences are never surer than these alone, though examples bring many degrees of freedom along."""
    if crossed.se <= seeds.se:
        return seeds
    narrower = crossed.high - crossed.low < seeds.high - seeds.low
    return _reading(crossed.estimate, crossed.se, seeds.df, crossed.level) if narrower else crossed


Part = tuple[float, float]
"""A part of the variance of an estimate, and the degrees of freedom it is known with."""


def _estimate(terms: Sequence[tuple[float, Scores]]) -> float:
    """Exact sums, so that settings that are equal differ by 0 and not by a rounding error."""
    return round(math.fsum(weight * statistics.fmean(scores.values()) for weight, scores in terms), DECIMALS)


def _of_seeds(weight: float, scores: Scores, variance: Variance) -> Part:
    n = len(scores)
    own = statistics.variance([round(score, DECIMALS) for score in scores.values()])
    spread, df = (own, n - 1.0) if variance == "welch" else variance.moderated(own, n - 1)
    return weight**2 * max(spread, scores.resolution**2) / n, df


def _of_examples(terms: Sequence[tuple[float, Scores]]) -> list[Part]:
    """The examples' part, and less than nothing for each setting's residual, which it shares with the seeds."""
    tables = [(weight, scores.table) for weight, scores in terms]
    known = [(weight, table) for weight, table in tables if table is not None]
    means = np.sum([weight * table.mean(axis=0) for weight, table in known], axis=0)  # (E,)
    size = len(means)
    residuals = [(weight, len(table), _residual(table)) for weight, table in known]
    return [
        (float(means.var(ddof=1)) / size, size - 1.0),
        *((-(weight**2) * spread / (n * size), (n - 1.0) * (size - 1)) for weight, n, spread in residuals),
    ]


def _residual(table: Array) -> float:
    """The mean square of what neither seed nor example explains: (n, E)."""
    n, size = table.shape
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    return float(np.square(rest).sum()) / ((n - 1) * (size - 1))


def _same_examples(terms: Sequence[tuple[float, Scores]]) -> bool:
    sizes = {scores.examples if scores.contributions is not None else None for _, scores in terms}
    return len(sizes) == 1 and (sizes.pop() or 0) > 1


def _summed(estimate: float, parts: Sequence[Part], level: float) -> Reading:
    """Satterthwaite's degrees of freedom: of the sum, from those of its parts."""
    variance = max(math.fsum(part for part, _ in parts), 0.0)
    unsure = math.fsum(part**2 / df for part, df in parts)
    return _reading(estimate, math.sqrt(variance), variance**2 / unsure if unsure else math.inf, level)


def _reading(estimate: float, se: float, df: float, level: float) -> Reading:
    half = float(stdtrit(df, (1 + level) / 2)) * se if se else 0.0
    return Reading(estimate, se, df, estimate - half, estimate + half, level)
