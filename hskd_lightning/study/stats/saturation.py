"""A curve as three numbers: where it starts, how much there is to gain, and how fast that is used up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from hskd_lightning.study.stats.defaults import ALPHA, LEVEL
from hskd_lightning.study.stats.intervals import (
    DECIMALS,
    bootstrap_interval,
    check_share,
    mean_curve,
    resampled_means,
    significant,
)
from hskd_lightning.study.stats.marginal_utility import Curve, on_shared_seeds
from hskd_lightning.study.stats.scores import Array

TRIED_SCALES = 48
BEYOND = 5.0
"""Scales are sought from a fifth of the first amount, by which the first step takes all but 0.7% of the gain, to five
times the last, where the curve is a straight line to within a 40th of its rise."""
SCALE_DIGITS = 4
"""Significant digits of a fitted scale. Around the best one the fit is flat: with an error of half the digits of a
double no other is better, so what a search ends in beyond these digits is its last bits and no result."""
SCALE_WITHIN = 1e-8
"""To which share of itself the scale is sought, well within these digits."""


@dataclass(frozen=True)
class Saturation:
    """score = floor + gain * (1 - exp(-amount / scale)), with bootstrap intervals over the `n` seeds at `level`.

    `floor`: the score of logits only. `gain`: what all the knowledge in the world would add to it. `scale`: scalars
    per example that bring 63% of the gain; each further `scale` brings 63% of what is left. `rmse`: of the mean
    curve around the fit, in units of score: what the shape does not catch. `p_fit`: of the lack-of-fit test, nan with
    one seed.

    `verdict` is one of
      saturates                        the numbers hold
      saturates by the first amount    they hold, but the scale is only known to be at most this
      not shown to saturate            a straight line fits as well: gain and scale have no bound
      no gain                          the curve does not surely rise
      does not fit                     the means lie further from the shape than the spread of the seeds explains
      too few amounts                  fewer than four: three numbers would fit any three
      no baseline                      the curve does not start at amount 0
      no shared seed                   no seed was run at all amounts
    In the last six cases every number of the fit is nan: a number that does not hold is not to be quoted.
    With one seed there is no interval, and the verdict is that of the curve as it is.
    """

    verdict: str
    n: int
    amounts: int
    level: float
    floor: float = math.nan
    floor_low: float = math.nan
    floor_high: float = math.nan
    gain: float = math.nan
    gain_low: float = math.nan
    gain_high: float = math.nan
    scale: float = math.nan
    scale_low: float = math.nan
    scale_high: float = math.nan
    rmse: float = math.nan
    p_fit: float = math.nan

    def at(self, amount: float) -> float:
        """The fitted score at an amount."""
        return self.floor - self.gain * math.expm1(-amount / self.scale)


def fit_saturation(curve: Curve, level: float = LEVEL, resamples: int = 2000, seed: int = 0) -> Saturation:
    """Fit a saturating exponential to the mean over shared seeds by least squares.

    An exponential rather than a hyperbola (Michaelis-Menten): its plateau lies within a sweep and is read off the
    last points, where a hyperbola lacks a tenth of its gain even at ten times its scale and puts the plateau beyond
    anything measured. Its marginal utility, gain / scale * exp(-amount / scale), falls by the same share with every
    scalar, which is the simplest way to diminish. `rmse` tells where a curve does otherwise.

    For a given scale the floor and the gain are a straight-line fit, so only the scale is searched: on a grid, then
    between the best one's neighbours. There is no starting value, and nothing that fails to converge. The scale is
    rounded before the floor and the gain are fitted to it, so that every processor comes to the same three numbers.

    Args:
        level: of the intervals; seeds are resampled whole and the curve refitted.
        resamples: how often.
        seed: of the resampling.

    Raises:
        ConfigError: a negative amount, a score that is not finite, a level or a number of resamples out of range.
    """
    check_share("level", level)
    amounts, scores = on_shared_seeds(curve)
    n = len(scores)
    missing = _missing(amounts, scores)
    if missing:
        return Saturation(missing, n, len(amounts), level)
    fitted = tuple(_fit(amounts, mean_curve(scores)[None])[0].tolist())
    again = _fit(amounts, resampled_means(scores, resamples, seed))  # (R, 4)
    ends = [bootstrap_interval(values, n, level) for values in again.T[:3]]
    verdict, p_fit = _verdict(fitted, ends, _scales(amounts)), lack_of_fit(scores, fitted[3])
    if verdict.startswith("saturates") and p_fit < ALPHA:
        verdict = "does not fit"
    if not verdict.startswith("saturates"):
        return Saturation(verdict, n, len(amounts), level, p_fit=p_fit)
    (floor, gain, scale, rmse), (of_floor, of_gain, of_scale) = fitted, ends
    return Saturation(verdict, n, len(amounts), level, floor, *of_floor, gain, *of_gain, scale, *of_scale, rmse, p_fit)


def lack_of_fit(scores: Array, rmse: float) -> float:
    """The p of `the means lie on the shape`: an F test against the pure error, the spread of seeds at each amount.

    Fisher's test for repeated measurements (Draper and Smith 1998, section 2.1). Three numbers were fitted, so A - 3
    are left. The pure error has (n - 1) A degrees of freedom; where seeds share a level it is too large, and the test
    lets more through.

    Args:
        scores: (n, A).
        rmse: of the mean curve around the fit.
    """
    n, amounts = scores.shape
    pure = float(scores.var(axis=0, ddof=1).mean()) if n > 1 else math.nan
    if n < 2 or round(rmse, ROUGH) == 0:
        return math.nan if n < 2 else 1.0
    lack = n * amounts * rmse**2 / (amounts - 3)
    return float(fdtrc(amounts - 3, (n - 1) * amounts, lack / pure)) if pure > 0 else 0.0


ROUGH = 5
"""Decimals to which a search finds the best scale: a fit that is exact leaves this much."""


def _missing(amounts: Array, scores: Array) -> str:
    if len(amounts) < 4:
        return "too few amounts"
    if amounts[0] > 0:
        return "no baseline"
    return "" if len(scores) else "no shared seed"


def _verdict(fitted: tuple[float, ...], ends: list[tuple[float, float]], scales: Array) -> str:
    """Judged by the ends of the intervals that speak against the fit; by the fit itself where one seed has none."""
    _, (gain_low, _), (_, scale_high) = ends
    _, gain, scale, _ = fitted
    if not round(min(gain, float(np.nan_to_num(gain_low, nan=gain))), DECIMALS) > 0:
        return "no gain"
    if max(scale, np.nan_to_num(scale_high, nan=scale)) > 0.99 * scales[-1]:
        return "not shown to saturate"
    return "saturates by the first amount" if scale < 1.01 * scales[0] else "saturates"


def _fit(amounts: Array, means: Array) -> Array:
    """floor, gain, scale, rmse of mean curves (R, A): (R, 4). All are searched at once, each grid within the last's."""
    grid = np.broadcast_to(np.log(_scales(amounts)), (len(means), TRIED_SCALES))
    while True:
        best = np.argmin(_line(amounts, means, np.exp(grid))[2], axis=1, keepdims=True)
        low = np.take_along_axis(grid, np.maximum(best - 1, 0), axis=1)[:, 0]
        high = np.take_along_axis(grid, np.minimum(best + 1, TRIED_SCALES - 1), axis=1)[:, 0]
        if (high - low).max() < SCALE_WITHIN:
            break
        grid = np.linspace(low, high, TRIED_SCALES, axis=1)
    scale = np.array([significant(middle, SCALE_DIGITS) for middle in np.exp((low + high) / 2)])
    floor, gain, rmse = (np.round(values[:, 0], DECIMALS) for values in _line(amounts, means, scale[:, None]))
    return np.stack([floor, gain, scale, rmse], axis=1)


def _scales(amounts: Array) -> Array:
    return np.geomspace(amounts[1] / BEYOND, BEYOND * amounts[-1], TRIED_SCALES)


def _line(amounts: Array, means: Array, scales: Array) -> tuple[Array, Array, Array]:
    """Least squares of means (R, A) on what each scale (R, G) says has been used up: floor, gain, rmse, each (R, G)."""
    used = -np.expm1(-amounts / scales[..., None])  # (R, G, A)
    centred = used - used.mean(axis=2, keepdims=True)
    gain = (centred * means[:, None]).sum(axis=2) / np.square(centred).sum(axis=2)
    floor = means.mean(axis=1, keepdims=True) - gain * used.mean(axis=2)
    residual = floor[..., None] + gain[..., None] * used - means[:, None]
    return floor, gain, np.sqrt(np.square(residual).mean(axis=2))
