"""What it takes: the seeds, or the sentences, by which a comparison would be decided."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import nctdtr, ndtri, stdtrit

from hskd_lightning.study.stats.contrast import difference
from hskd_lightning.study.stats.defaults import ALPHA, FEWEST, POWER
from hskd_lightning.study.stats.intervals import summarize
from hskd_lightning.study.stats.scores import BySeed, scores_of

MOST = 1000
"""More seeds than this are told as `over 1000`."""


@dataclass(frozen=True)
class Noise:
    """What blurs a comparison of two settings.

    `sd`, `reference_sd`: of their scores over seeds. `examples`: the part of the variance of their difference that
    comes from the choice of the dev examples, which no further seed takes away; 0 where one speaks of these alone.
    `size`: how many examples that are.
    """

    sd: float
    reference_sd: float
    examples: float = 0.0
    size: int = 0

    def spread(self, n: float) -> tuple[float, float]:
        """Standard error and degrees of freedom of the difference with n seeds of either setting."""
        parts = [(sd**2 / n, n - 1.0) for sd in (self.sd, self.reference_sd)]
        if self.examples:
            parts.append((self.examples, self.size - 1.0))
        variance = sum(part for part, _ in parts)
        unsure = sum(part**2 / df for part, df in parts)
        return math.sqrt(variance), variance**2 / unsure if unsure else math.inf


def noise(scores: BySeed, reference: BySeed, of_sentences: bool = False) -> Noise | None:
    """The noise of a comparison that was made, in one of its readings; None with fewer than two seeds of a setting.

    Raises:
        ConfigError: a score is not a finite number.
    """
    found = difference(scores, reference)
    if found.n < 2:
        return None
    sd, other = (max(summarize(each).sd, scores_of(each).resolution) for each in (scores, reference))
    if not of_sentences or found.sentences is None:
        return Noise(sd, other)
    examples = max(found.sentences.se**2 - found.seeds.se**2, 0.0)
    return Noise(sd, other, examples, scores_of(scores).examples or 0)


def power(of: Noise, n: int, margin: float, alpha: float = ALPHA) -> float:
    """How often n seeds of either setting show that one serves as well, where both truly serve alike.

    By the noncentral t distribution, with the degrees of freedom that these spreads give Welch's test.
    """
    se, df = of.spread(n)
    if se == 0:
        return 1.0
    return 1 - float(nctdtr(min(df, LARGE), margin / se, _critical(df, alpha)))


LARGE = 1e6
"""Degrees of freedom from which on a t distribution is taken as the normal one."""


def _critical(df: float, alpha: float) -> float:
    return float(stdtrit(min(df, LARGE), 1 - alpha))


def seeds_needed(of: Noise, margin: float, alpha: float = ALPHA, wanted: float = POWER) -> int | None:
    """The fewest seeds of either setting that decide with the power that is wanted; None: no number of seeds does.

    Past `MOST` the search ends there: what is not decided by so many seeds is decided by none that anyone trains.
    """
    if sentences_needed(of, margin, alpha, wanted) > of.size:
        return None
    low, high = FEWEST - 1, FEWEST
    while power(of, high, margin, alpha) < wanted:
        if high > MOST:
            return high
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(of, middle, margin, alpha) >= wanted else (middle, high)
    return high


def margin_shown(of: Noise, n: int, alpha: float = ALPHA, wanted: float = POWER) -> float:
    """The smallest margin that n seeds of either setting can show with the power that is wanted."""
    se, _ = of.spread(n)
    if se == 0:
        return 0.0
    most = se
    while power(of, n, most, alpha) < wanted:
        most *= 2
    return float(brentq(lambda margin: power(of, n, margin, alpha) - wanted, 0, most, xtol=1e-6))


def sentences_needed(of: Noise, margin: float, alpha: float = ALPHA, wanted: float = POWER) -> int:
    """The dev examples below which no number of seeds decides; 0 where one speaks of these examples alone."""
    return math.ceil(of.size * of.examples * ((float(ndtri(1 - alpha)) + float(ndtri(wanted))) / margin) ** 2)


def said(of: Noise, n: int, margin: float, alpha: float = ALPHA) -> str:
    """For a person: what would decide, and what n seeds can."""
    able = f"{n} can show {_points(margin_shown(of, n, alpha))}" if n > 1 else f"{n} can show nothing"
    needed = seeds_needed(of, margin, alpha)
    if needed is None:
        sentences = sentences_needed(of, margin, alpha)
        return f"no number of seeds shows {_points(margin)}, {sentences:,} sentences or more would; {able}"
    return f"this spread needs {_seeds(needed)}; {able}"


def undecided(of: Noise, n: int, margin: float, loss: float, alpha: float = ALPHA) -> str:
    """For a person, of a comparison that n seeds left open: what would decide it.

    More seeds, if the spread asks for them. If it does not, what it seems to lose is in the way.

    Args:
        loss: of the setting to its reference, as estimated; negative if it gains.
    """
    needed = seeds_needed(of, margin, alpha)
    if needed is None or needed > n:
        return said(of, n, margin, alpha)
    enough = f"{n} seeds are enough where it serves alike, but it seems to lose {_points(loss)}"
    if loss >= margin:
        return f"{enough}, more than the margin"
    more = seeds_needed(of, margin - max(loss, 0.0), alpha)
    return f"{enough}: to show that this is within the margin takes {_seeds(more)}"


def _seeds(needed: int | None) -> str:
    if needed is None:
        return "more sentences than there are"
    return f"{needed} seeds" if needed <= MOST else f"over {MOST} seeds"


def foresight(n: int, sd: float, margin: float, alpha: float = ALPHA) -> str:
    """For a plan, before it runs: what n seeds a setting can show if scores spread by `sd` over seeds."""
    given = f"at a spread of {_points(sd)} over seeds, a margin of {_points(margin)}"
    return f"{given}: {said(Noise(sd, sd), n, margin, alpha)}"


def _points(score: float) -> str:
    value = f"{100 * score:.2g}"
    return f"{value} point" + ("" if value == "1" else "s")
