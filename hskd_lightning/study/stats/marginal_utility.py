"""The marginal utility of knowledge: what each further scalar of hidden state is worth, and that it is worth less."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hskd_lightning.errors import ConfigError
from hskd_lightning.study.stats.comparison import Difference, Shift, as_difference, corrected
from hskd_lightning.study.stats.contrast import contrast, difference
from hskd_lightning.study.stats.defaults import LEVEL
from hskd_lightning.study.stats.intervals import check_share
from hskd_lightning.study.stats.moderation import Variance
from hskd_lightning.study.stats.scores import Array, BySeed, checked

Curve = Mapping[float, BySeed]
"""Scores by seed at each amount, in scalars per example. Amount 0 is the baseline: logits only."""


@dataclass(frozen=True)
class Segment:
    """What the step from one amount to the next brings.

    `gain`: in units of score, with its readings; p corrected over all steps. `scalars`: those added.
    """

    from_amount: float
    to_amount: float
    gain: Difference

    @property
    def scalars(self) -> float:
        return self.to_amount - self.from_amount


def marginal_utility(curve: Curve, level: float = LEVEL, variance: Variance = "welch") -> list[Segment]:
    """The gain between neighbouring amounts, in ascending order; nothing for a single amount.

    Raises:
        ConfigError: an amount is negative, a score is not a finite number, or level is not between 0 and 1.
    """
    steps = {
        (less, more): as_difference(difference(curve[more], curve[less], level, variance))
        for less, more in pairwise(ascending(curve))
    }
    return [Segment(less, more, gain) for (less, more), gain in corrected(steps).items()]


@dataclass(frozen=True)
class Diminishing:
    """Does the gain per scalar fall along the curve? Three figures, each above 0 where it does, in both readings.

    `height`: how far the curve lies above the straight line between its ends, in units of score, averaged over the
    amounts. `height_without`: the same from the smallest amount of hidden states on, without the logits baseline.
    `slopes`: the gain per 1000 scalars of the first step, less that of all that follow together.

    `seeds`, `sentences`: the verdict of each reading, one of
      diminishes    all three intervals lie above 0
      increases     all three lie below
      undecided     they do not agree, or say nothing
      untested      fewer than two seeds, or than three amounts beside the baseline
    """

    amounts: int
    height: Difference
    height_without: Difference
    slopes: Difference
    seeds: str
    sentences: str | None

    @property
    def verdict(self) -> str:
        """What is meant without a word: of new sentences, where these are known."""
        return self.sentences or self.seeds

    @property
    def figures(self) -> Mapping[str, Difference]:
        """The three, by what a reader calls them."""
        return dict(zip(FIGURES, (self.height, self.height_without, self.slopes), strict=True))

    @property
    def agreeing(self) -> tuple[str, ...]:
        """The figures that say `diminishes`."""
        return tuple(name for name, figure in self.figures.items() if figure.shown.low > 0)


FIGURES = ("height over the chord", "height without the baseline", "first step against later ones")


def diminishing(curve: Curve, level: float = LEVEL, variance: Variance = "welch") -> Diminishing:
    """Test `every scalar is worth the same` by three figures, and claim that its worth falls where all agree.

    If every scalar were worth the same, the curve would be the straight line from its first point to its last; if
    each is worth less than the one before, it lies above. But so does a curve that jumps from logits to any hidden
    state at all and is straight from there, whose baseline is left out for that reason; and a sigmoid, which lies
    above the line for most of its way and begins by rising ever faster: its first step is not the steeper one. (The
    first half of the steps against the second would be surer, and call diminishing whatever rises within the first
    half.) Each figure is linear in the means, so each is a `contrast`.

    Raises:
        ConfigError: as `marginal_utility`.
    """
    check_share("level", level)
    amounts = np.array(ascending(curve), dtype=float)
    weighed = {
        "height": _height(amounts),
        "height_without": _height(amounts[amounts > 0]),
        "slopes": _slopes(amounts),
    }
    found = {
        name: as_difference(contrast([(weight, curve[amount]) for amount, weight in weights.items()], level, variance))
        for name, weights in weighed.items()
    }
    figures = list(found.values())
    of_sentences = [figure.sentences for figure in figures if figure.sentences]
    sentences = _verdict(of_sentences) if len(of_sentences) == len(figures) else None
    return Diminishing(len(amounts), **found, seeds=_verdict([figure.seeds for figure in figures]), sentences=sentences)


def _height(amounts: Array) -> dict[float, float]:
    """Weights of the mean height over the chord: the area under the curve less that under the chord, (A,)."""
    if len(amounts) < 3:
        return {}
    fraction = (amounts - amounts[0]) / (amounts[-1] - amounts[0])  # (A,) from 0 to 1
    weights = np.trapezoid(np.eye(len(amounts)), fraction, axis=1)
    weights[[0, -1]] -= 0.5
    return dict(zip(amounts.tolist(), weights.tolist(), strict=True))


def _slopes(amounts: Array) -> dict[float, float]:
    """Weights of the first step's slope less that of all later ones, per 1000 scalars."""
    if len(amounts) < 3:
        return {}
    first, middle, last = (float(amounts[at]) for at in (0, 1, -1))
    early, late = 1000 / (middle - first), 1000 / (last - middle)
    return {first: -early, middle: early + late, last: -late}


def _verdict(shifts: Sequence[Shift]) -> str:
    if any(math.isnan(shift.low) for shift in shifts):
        return "untested"
    if all(shift.low > 0 for shift in shifts):
        return "diminishes"
    return "increases" if all(shift.high < 0 for shift in shifts) else "undecided"


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
