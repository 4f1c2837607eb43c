"""Two settings on the seeds they share: do they differ, and is the one as good as the other? Which lead a table?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from statsmodels.stats.multitest import multipletests

from hskd_lightning.study.stats.defaults import ALPHA, LEVEL, MARGIN
from hskd_lightning.study.stats.intervals import (
    Summary,
    check_share,
    p_above,
    p_below,
    summarize_values,
)
from hskd_lightning.study.stats.scores import BySeed, checked

Key = TypeVar("Key")


@dataclass(frozen=True)
class Difference(Summary):
    """The mean of `n` paired differences, its interval, and the p of the two-sided paired t test.

    `p_holm` is p corrected for the family it was tested in, nan where none was named. Without any spread p is its
    limit: 0, or 1 for a difference of 0.
    """

    p: float
    p_holm: float = math.nan


def paired_difference(scores: BySeed, reference: BySeed, level: float = LEVEL) -> Difference:
    """`scores` minus `reference`, seed by seed, on the seeds that both have. No shared seed: n = 0, the rest nan.

    Raises:
        ConfigError: a score is not a finite number, or level is not between 0 and 1.
    """
    return difference_of(_shared(scores, reference), level)


def difference_of(differences: Sequence[float], level: float) -> Difference:
    """The summary of paired differences that are already taken, one for each seed."""
    summary = summarize_values(differences, level)
    two_sided = min(1.0, 2 * min(p_above(summary, 0), p_below(summary, 0)))
    return Difference(**asdict(summary), p=two_sided if summary.n > 1 else math.nan)


def compare(settings: Mapping[Key, BySeed], reference: BySeed, level: float = LEVEL) -> dict[Key, Difference]:
    """Every setting minus `reference`, with p corrected over all of them."""
    return corrected({name: paired_difference(scores, reference, level) for name, scores in settings.items()})


def corrected(family: Mapping[Key, Difference]) -> dict[Key, Difference]:
    """The differences with `p_holm` filled in: the family is those given. The intervals are not widened."""
    adjusted = holm([difference.p for difference in family.values()])
    return {name: replace(one, p_holm=p) for (name, one), p in zip(family.items(), adjusted, strict=True)}


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979). A nan is a test that was not made: it stays, and counts for nothing."""
    made = [p for p in ps if not math.isnan(p)]
    adjusted = iter(multipletests(made, method="holm")[1] if made else [])
    return [p if math.isnan(p) else float(next(adjusted)) for p in ps]


def _shared(scores: BySeed, reference: BySeed) -> list[float]:
    checked(scores)
    checked(reference)
    return [score - reference[seed] for seed, score in scores.items() if seed in reference]


# As good as.


@dataclass(frozen=True)
class Equivalence:
    """Is a setting as good as its reference, give or take `margin`?

    `mean`, `sd`: of the n paired differences. [low, high]: their interval at level 1 - 2 alpha, the one that goes
    with two one-sided tests. `p_lower`: of `it loses the margin or more`. `p_upper`: of `it gains the margin or
    more`. `p`: the larger, the p of the equivalence test.

    `verdict` is one of
      equivalent     both refuted: within the margin either way
      non-inferior   the loss refuted, the gain not: as good, and maybe better by more than the margin
      inferior       shown to lose more than the margin
      undecided      the seeds do not tell
      untested       fewer than two shared seeds
    `serves` is true for the first two: as well as the reference, or better.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float
    p_lower: float
    p_upper: float
    p: float
    margin: float
    alpha: float
    verdict: str
    serves: bool


def equivalence(scores: BySeed, reference: BySeed, margin: float = MARGIN, alpha: float = ALPHA) -> Equivalence:
    """Two one-sided paired t tests (Schuirmann 1987) on the shared seeds.

    A test of difference cannot show that two settings serve alike: with few seeds it finds nothing. Here the burden
    is turned round, and few or noisy seeds end in `undecided`. A setting that beats its reference by more than the
    margin is not equivalent, but serves: what is claimed of compressed knowledge is `as well or better`, which is
    the lower test alone (non-inferiority, one-sided at alpha). Equivalent settings are always non-inferior, so
    `serves` is one rule and the verdict says which of the two was shown. Exact where the differences are normal;
    equal differences decide at once, so two seeds that happen to agree weigh little: look at n.

    Args:
        margin: the largest loss that does not matter, in units of score: 0.01 is one point.
        alpha: the most often that a setting exactly at the margin is let through.

    Raises:
        ConfigError: margin is not positive, alpha is not between 0 and 0.5, or a score is not a finite number.
    """
    check_share("margin", margin, below=math.inf)
    check_share("alpha", alpha, below=0.5)
    summary = summarize_values(_shared(scores, reference), level=1 - 2 * alpha)
    p_lower, p_upper = p_above(summary, -margin), p_below(summary, margin)
    verdict = _verdict(summary, margin, alpha)
    return Equivalence(
        **{name: value for name, value in asdict(summary).items() if name != "level"},
        p_lower=p_lower,
        p_upper=p_upper,
        p=max(p_lower, p_upper),
        margin=margin,
        alpha=alpha,
        verdict=verdict,
        serves=verdict in ("equivalent", "non-inferior"),
    )


def _verdict(summary: Summary, margin: float, alpha: float) -> str:
    if summary.n < 2:
        return "untested"
    if p_above(summary, -margin) < alpha:
        return "equivalent" if p_below(summary, margin) < alpha else "non-inferior"
    return "inferior" if p_below(summary, -margin) < alpha else "undecided"


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

    Overlap of the printed intervals is what a reader checks by eye. It ignores the pairing by seed and so ranks less
    than it could; that also pays for picking the best of many. For two settings in question, ask `compare`. A
    setting without an interval, one seed or none, overlaps everything: it comes last, unranked.
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
