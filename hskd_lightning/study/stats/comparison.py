"""Two settings: do they differ, and is the one as good as the other? Which lead a table?

Welch's test over the settings' own seeds is the rule, fixed before any study was read: a seed is only a number, and
what two settings do with it was measured to share nothing (a correlation of -0.14 on SST-2). It errs in 4 to 6% where
it says 5%, however the settings spread. Pairing by seed spends half of the degrees of freedom on nothing; a moderated
variance (`moderation`) has more of them, and errs in 13 to 18% where one setting spreads threefold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from hskd_lightning.study.stats.contrast import Contrast, Reading, difference
from hskd_lightning.study.stats.defaults import ALPHA, FEWEST, LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import Summary, check_share
from hskd_lightning.study.stats.moderation import Variance
from hskd_lightning.study.stats.scores import BySeed

Key = TypeVar("Key")


@dataclass(frozen=True)
class Shift:
    """One reading of a difference: its interval [low, high], and the p of the two-sided test.

    `p_holm` is p corrected for the family it was tested in, nan where none was named. Without any spread p is its
    limit: 0, or 1 for a difference of 0.
    """

    low: float
    high: float
    p: float
    p_holm: float = math.nan


@dataclass(frozen=True)
class Difference:
    """The difference of two means over `n` seeds or more, in both readings at `level`; see `Contrast`."""

    n: int
    mean: float
    level: float
    seeds: Shift
    sentences: Shift | None

    @property
    def shown(self) -> Shift:
        """What is meant without a word: new sentences, where these are known."""
        return self.sentences or self.seeds


def as_difference(found: Contrast) -> Difference:
    """A contrast tested against 0. Below two seeds all but its mean is nan."""
    sentences = None if found.sentences is None else _shift(found.sentences)
    return Difference(found.n, found.estimate, found.seeds.level, _shift(found.seeds), sentences)


def _shift(reading: Reading) -> Shift:
    p = 2 * min(reading.p_above(0), reading.p_below(0))  # nan stays nan
    return Shift(reading.low, reading.high, p if math.isnan(p) else min(1.0, p))


def compare(
    settings: Mapping[Key, BySeed], reference: BySeed, level: float = LEVEL, variance: Variance = "welch"
) -> dict[Key, Difference]:
    """Every setting minus `reference`, with p corrected over all of them.

    Raises:
        ConfigError: a score is not a finite number, or level is not between 0 and 1.
    """
    found = {name: as_difference(difference(scores, reference, level, variance)) for name, scores in settings.items()}
    return corrected(found)


def corrected(family: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """The differences with `p_holm` filled in, for each reading; the family is those given. No interval is widened."""
    seeds = _corrected([each.seeds for each in family.values()])
    sentences = _corrected([each.sentences for each in family.values()])
    pairs = zip(family.items(), seeds, sentences, strict=True)
    return {name: replace(each, seeds=one or each.seeds, sentences=other) for (name, each), one, other in pairs}


def _corrected(shifts: Sequence[Shift | None]) -> list[Shift | None]:
    adjusted = holm([each.p if each else math.nan for each in shifts])
    return [each and replace(each, p_holm=p) for each, p in zip(shifts, adjusted, strict=True)]


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979). A nan is a test that was not made: it stays, and counts for nothing.

    Not statsmodels', whose every call collects garbage: two fifths of a report's time, and all of it where much is
    loaded.
    """
    adjusted = np.array(ps, dtype=float)
    rising = np.argsort(adjusted)[: np.count_nonzero(~np.isnan(adjusted))]  # nan sorts last
    stepped = adjusted[rising] * np.arange(len(rising), 0, -1)
    adjusted[rising] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.tolist()


# As good as.


@dataclass(frozen=True)
class Judgement:
    """One reading of an equivalence test.

    [low, high]: the interval at level 1 - 2 alpha, the one that goes with two one-sided tests. `p_lower`: of `it loses
    the margin or more`. `p_upper`: of `it gains the margin or more`.

    `verdict` is one of
      equivalent     both refuted: within the margin either way
      non-inferior   the loss refuted, the gain not: as good, and maybe better by more than the margin
      inferior       shown to lose more than the margin
      undecided      not told, or told by fewer than three seeds
      untested       fewer than two seeds
    """

    low: float
    high: float
    p_lower: float
    p_upper: float
    verdict: str

    @property
    def p(self) -> float:
        """Of the equivalence test: the larger of its two."""
        return max(self.p_lower, self.p_upper)

    @property
    def serves(self) -> bool:
        """As well as the reference, or better."""
        return self.verdict in ("equivalent", "non-inferior")


@dataclass(frozen=True)
class Equivalence:
    """Is a setting as good as its reference, give or take `margin`?

    `mean`: of the difference. `n`: the fewer seeds of the two. `alpha`: of each test.
    """

    n: int
    mean: float
    margin: float
    alpha: float
    seeds: Judgement
    sentences: Judgement | None

    @property
    def shown(self) -> Judgement:
        """What is meant without a word: new sentences, where these are known."""
        return self.sentences or self.seeds

    @property
    def verdict(self) -> str:
        return self.shown.verdict

    @property
    def serves(self) -> bool:
        return self.shown.serves


def equivalence(
    scores: BySeed,
    reference: BySeed,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    variance: Variance = "welch",
) -> Equivalence:
    """Two one-sided tests (Schuirmann 1987).

    A test of difference cannot show that two settings serve alike: with few seeds it finds nothing. Here the burden
    is turned round, and few or noisy seeds end in `undecided`. A setting that beats its reference by more than the
    margin is not equivalent, but serves: what is claimed of compressed knowledge is `as well or better`, which is
    the lower test alone (non-inferiority, one-sided at alpha). Equivalent settings are always non-inferior, so
    `serves` is one rule and the verdict says which of the two was shown. It takes three seeds of either setting: two
    that happen to agree would show anything.

    Args:
        margin: the largest loss that does not matter, in units of score: 0.01 is one point.
        alpha: the most often that a setting exactly at the margin is let through.
        variance: see `contrast`.

    Raises:
        ConfigError: margin is not positive, alpha is not between 0 and 0.5, or a score is not a finite number.
    """
    check_share("margin", margin, below=math.inf)
    check_share("alpha", alpha, below=0.5)
    found = difference(scores, reference, 1 - 2 * alpha, variance)
    seeds = _judged(found.seeds, found.n, margin, alpha)
    sentences = None if found.sentences is None else _judged(found.sentences, found.n, margin, alpha)
    return Equivalence(found.n, found.estimate, margin, alpha, seeds, sentences)


def _judged(reading: Reading, n: int, margin: float, alpha: float) -> Judgement:
    p_lower, p_upper = reading.p_above(-margin), reading.p_below(margin)
    worse = reading.p_below(-margin) < alpha
    return Judgement(reading.low, reading.high, p_lower, p_upper, _verdict(n, p_lower < alpha, p_upper < alpha, worse))


def _verdict(n: int, not_worse: bool, not_better: bool, worse: bool) -> str:
    if n < 2:
        return "untested"
    if worse:
        return "inferior"
    if n < FEWEST or not not_worse:
        return "undecided"
    return "equivalent" if not_better else "non-inferior"


# Tables.


@dataclass(frozen=True)
class Ranked:
    """A row of a table: `tier` 1 leads, None could not be ranked. `best`: not told from the highest mean."""

    name: str
    tier: int | None
    best: bool
    n: int
    mean: float
    low: float
    high: float


def rank(settings: Mapping[str, Summary]) -> list[Ranked]:
    """Settings by falling mean, in tiers whose intervals do not overlap: within a tier, nothing is said.

    A tier ends where all that is above lies above all that is below, so settings of different tiers never overlap.
    Two of one tier may be apart, if others bridge the gap. `best` marks whose interval overlaps that of the highest
    mean, what a table prints bold.

    Overlap of the printed intervals is what a reader checks by eye. It ranks less than a test of each pair would,
    which pays for picking the best of many. It speaks of these sentences alone: for two settings in question, ask
    `compare`. A setting without an interval, one seed or none, overlaps everything: it comes last, unranked.
    """
    ranked = [name for name in _by_mean(settings) if settings[name].n > 1]
    rows, tier, floor = [], 0, math.inf
    for place, name in enumerate(ranked):
        summary = settings[name]
        tier += max(settings[other].high for other in ranked[place:]) < floor
        floor = min(floor, summary.low)
        rows.append(_row(name, summary, tier, summary.high >= settings[ranked[0]].low))
    return rows + [_row(name, settings[name], None, False) for name in _by_mean(settings) if name not in ranked]


def _by_mean(settings: Mapping[str, Summary]) -> list[str]:
    return sorted(settings, key=lambda name: -settings[name].mean if settings[name].n else math.inf)


def _row(name: str, summary: Summary, tier: int | None, best: bool) -> Ranked:
    return Ranked(name, tier, best, summary.n, summary.mean, summary.low, summary.high)
