"""The marginal utility of knowledge: what each further scalar of hidden state is worth, and that it is worth less."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.comparison import Difference, corrected, difference_of, paired_difference
from hskd_lightning.study.stats.defaults import LEVEL
from hskd_lightning.study.stats.scores import Array, BySeed, checked

Curve = Mapping[float, BySeed]
"""Scores by seed at each amount, in scalars per example. Amount 0 is the baseline: logits only."""


@dataclass(frozen=True)
class Segment:
    """What the step from one amount to the next brings.

    `gain`: in units of score, over the `n` seeds that both amounts have. `per_scalar`: that gain divided by the
    scalars added, its interval [low, high] at `level`. `p`, `p_holm`: of no gain, alone and among all steps.
    """

    from_amount: float
    to_amount: float
    n: int
    gain: float
    per_scalar: float
    low: float
    high: float
    level: float
    p: float
    p_holm: float


def marginal_utility(curve: Curve, level: float = LEVEL) -> list[Segment]:
    """The gain per added scalar between neighbouring amounts, in ascending order; nothing for a single amount.

    Raises:
        ConfigError: an amount is negative, a score is not a finite number, or level is not between 0 and 1.
    """
    steps = {
        (less, more): paired_difference(curve[more], curve[less], level) for less, more in pairwise(ascending(curve))
    }
    return [_segment(less, more, gain) for (less, more), gain in corrected(steps).items()]


def _segment(less: float, more: float, gain: Difference) -> Segment:
    added = more - less
    scaled = (gain.mean / added, gain.low / added, gain.high / added)
    return Segment(less, more, gain.n, gain.mean, *scaled, gain.level, gain.p, gain.p_holm)


@dataclass(frozen=True)
class Diminishing:
    """Does the gain per scalar fall along the curve?

    `excess`: how far the curve lies above the straight line between its ends, in units of score, averaged over the
    amounts; its interval [low, high] at `level` and two-sided `p` over the `n` seeds that have every amount.
    `verdict`: diminishes, increases, undecided, or untested (fewer than two such seeds, or than three amounts).
    """

    n: int
    amounts: int
    excess: float
    sd: float
    low: float
    high: float
    level: float
    p: float
    verdict: str


def diminishing(curve: Curve, level: float = LEVEL) -> Diminishing:
    """Test `every scalar is worth the same` against the bend of the curve, seed by seed.

    If every scalar were worth the same, the curve would be the straight line from its first point to its last; if
    each is worth less than the one before, the curve lies above it. The mean height above that line is one number
    per seed, linear in the scores, so the paired t test holds. It uses all points. The first slope against the last
    would use four, and divide the noise by whatever first step the sweep happened to take.

    It speaks of the whole curve: `marginal_utility` tells which steps still bring something.

    Raises:
        ConfigError: as `marginal_utility`.
    """
    amounts, scores = on_shared_seeds(curve)
    excess = difference_of(_excess(amounts, scores).tolist() if len(amounts) > 2 else [], level)
    n, interval = len(scores), (excess.low, excess.high)
    return Diminishing(n, len(amounts), excess.mean, excess.sd, *interval, level, excess.p, _verdict(excess))


def _excess(amounts: Array, scores: Array) -> Array:
    """Mean height of each seed's curve above its chord: (A,), (n, A) -> (n,)."""
    fraction = (amounts - amounts[0]) / (amounts[-1] - amounts[0])  # (A,) from 0 to 1
    chord = scores[:, :1] + (scores[:, -1:] - scores[:, :1]) * fraction  # (n, A)
    return np.trapezoid(scores - chord, fraction, axis=1)


def _verdict(excess: Difference) -> str:
    if excess.n < 2:
        return "untested"
    if excess.low > 0:
        return "diminishes"
    return "increases" if excess.high < 0 else "undecided"


def ascending(curve: Curve) -> list[float]:
    """The amounts, sorted and checked."""
    for amount, scores in curve.items():
        if not 0 <= amount < math.inf:
            raise ConfigError("amount", amount, "scalars per example, 0 or more", "use 0 for the logits-only baseline")
        checked(scores)
    return sorted(float(amount) for amount in curve)


def on_shared_seeds(curve: Curve) -> tuple[Array, Array]:
    """The amounts (A,), ascending, and the scores (n, A) of the seeds that were run at every one of them.

    With other seeds at other amounts the curve would bend where the seeds change.
    """
    amounts = ascending(curve)
    shared = sorted(set.intersection(*(set(curve[amount]) for amount in amounts))) if amounts else []
    scores = [[curve[amount][seed] for amount in amounts] for seed in shared]
    return np.array(amounts, dtype=float), np.array(scores, dtype=float).reshape(len(shared), len(amounts))
