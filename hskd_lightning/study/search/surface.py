"""A model of the response: an ensemble of saturating surfaces in the logs of the keeps.

    score = floor + gain * product over axes of h(share kept),   h from 0 at nothing to nearly 1

So the logits alone are at the floor, more of anything never hurts within its family, and what one axis lacks no other
makes up for. Full HSK is of a family of its own along each axis: it need not be the best. Each
member draws its own noise and its own prior, and is the least-squares fit to them: for a linear model that is a draw
from the posterior (randomise, then optimise: Bardsley et al. 2014). Half of the members saturate exponentially, the
others by a power (Hill), so that the ensemble is unsure where the data do not tell one from the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hskd_lightning.study.stats.intervals import Array

MEMBERS = 96
STEPS = 25
"""Of Levenberg and Marquardt, for all members at once."""
SCALE, SHARPNESS = 1.5, 0.4
"""Standard deviations of the prior: of log scales, and of log exponents."""
FLAT = 1e-12


class Observed(NamedTuple):
    """N scores and where they were taken."""

    places: Array  # (N, A) logs of the keeps
    families: np.ndarray  # (N, A) int
    scores: Array  # (N,)


@dataclass(frozen=True)
class Ensemble:
    """M surfaces, each a row of parameters: floor, gain, log scales by family, log exponents."""

    parameters: Array  # (M, Q)
    hill: np.ndarray  # (M,) bool
    layout: Layout
    sd: float
    """Of one score around its surface: the seed's, and what the surface misses."""

    def scores(self, places: Array, families: np.ndarray) -> Array:
        """(M, N) scores that the members expect there."""
        return _respond(self.parameters, self.hill, Observed(places, families, places[:, 0]), self.layout)[0]


@dataclass(frozen=True)
class Layout:
    """Which parameters there are: `first[a]` is where the log scales of axis a begin."""

    first: tuple[int, ...]
    exponents: int
    size: int

    @classmethod
    def of(cls, families: tuple[int, ...]) -> Layout:
        """For so many families along each axis."""
        starts = [2 + sum(families[:axis]) for axis in range(len(families) + 1)]
        return cls(tuple(starts[:-1]), starts[-1], starts[-1] + len(families))


def fit(observed: Observed, families: tuple[int, ...], margin: float, seed: int) -> Ensemble:
    """Fit the ensemble.

    Args:
        observed: the logits alone among them.
        families: how many there are along each axis.
        margin: gives the prior its scale where the scores do not.
        seed: of the members' draws.
    """
    layout = Layout.of(families)
    centre, spread = _prior(observed, layout, margin)
    dice = np.random.default_rng(seed)
    both = np.array([False, True])
    at = _optimise(np.stack([centre] * 2), both, observed, layout, margin / 2, (centre, spread), observed.scores)
    sd = _residual_sd(at, both, observed, layout, (centre, spread), margin)
    hill = np.arange(MEMBERS) % 2 == 1
    centres = centre + spread * dice.standard_normal((MEMBERS, layout.size))
    noisy = observed.scores + sd * dice.standard_normal((MEMBERS, len(observed.scores)))
    fitted = _optimise(at[hill.astype(int)], hill, observed, layout, sd, (centres, spread), noisy)
    return Ensemble(fitted, hill, layout, sd)


def _prior(observed: Observed, layout: Layout, margin: float) -> tuple[Array, Array]:
    """Centre and standard deviation of each parameter."""
    nothing = np.isneginf(observed.places[:, 0])
    low, high = observed.scores[nothing].mean(), np.quantile(observed.scores[~nothing], 0.9)
    gain = max(high - low, margin)
    centre, spread = np.zeros(layout.size), np.full(layout.size, SCALE)
    centre[:2] = low, gain
    spread[:2] = max(margin, 0.2 * gain), 0.3 * gain + margin
    for axis, first in enumerate(layout.first):
        there = observed.places[~nothing, axis]
        last = layout.first[axis + 1] if axis + 1 < len(layout.first) else layout.exponents
        centre[first:last] = 0.75 * there.min()  # most of an axis's range serves, until the data say otherwise
    spread[layout.exponents :] = SHARPNESS
    return centre, spread


def _respond(parameters: Array, hill: np.ndarray, observed: Observed, layout: Layout) -> tuple[Array, Array]:
    """(M, N) scores, and (M, N, Q) their derivatives by the parameters."""
    members, count = len(parameters), len(observed.places)
    slopes = np.zeros((members, count, layout.size))
    product = np.ones((members, count))
    rates = []
    for axis, first in enumerate(layout.first):
        place, column = observed.places[:, axis], first + observed.families[:, axis]
        exponent = np.exp(parameters[:, layout.exponents + axis])[:, None]  # (M, 1)
        far = exponent * (place - parameters[:, column])  # (M, N)
        share, rate = _saturation(np.clip(far, -60.0, 60.0), hill[:, None])
        product *= share
        rates.append((column, far, exponent, rate))
    floor, gain = parameters[:, :2].T[..., None]
    for axis, (column, far, exponent, rate) in enumerate(rates):
        slope = gain * product * rate
        slopes[:, np.arange(count), column] = -exponent * slope
        slopes[:, :, layout.exponents + axis] = slope * np.where(np.isfinite(far), far, 0.0)
    slopes[:, :, 0], slopes[:, :, 1] = 1.0, product
    return floor + gain * product, slopes


def _saturation(far: Array, hill: np.ndarray) -> tuple[Array, Array]:
    """Of h: itself, and d log h / d far, where far = exponent * (log share - log scale)."""
    grown = np.exp(far)
    with np.errstate(over="ignore"):
        weibull = -np.expm1(-grown)
        rate = np.where(grown > 700, 0.0, grown / np.maximum(np.expm1(np.minimum(grown, 700.0)), FLAT))
    return np.where(hill, grown / (1 + grown), weibull), np.where(hill, 1 / (1 + grown), rate)


def _optimise(
    start: Array,
    hill: np.ndarray,
    observed: Observed,
    layout: Layout,
    sd: float,
    prior: tuple[Array, Array],
    scores: Array,
) -> Array:
    """Least squares of scores and prior together, for M members at once: (M, Q) parameters."""
    centre, spread = prior
    at, damping = start.copy(), np.full(len(start), 1e-2)
    weight = np.diag(spread**-2.0)

    def cost(parameters: Array) -> tuple[Array, Array, Array]:
        expected, slopes = _respond(parameters, hill, observed, layout)
        left = (scores - expected) / sd
        off = (parameters - centre) / spread
        return (left**2).sum(axis=1) + (off**2).sum(axis=1), left, slopes / sd

    worth, left, slopes = cost(at)
    for _ in range(STEPS):
        curve = slopes.transpose(0, 2, 1) @ slopes
        down = (slopes.transpose(0, 2, 1) @ left[..., None])[..., 0] - (at - centre) / spread**2
        whole = curve + weight
        damped = whole + damping[:, None, None] * np.eye(layout.size) * np.diagonal(whole, axis1=1, axis2=2)[:, None]
        tried = at + np.linalg.solve(damped, down[..., None])[..., 0]
        new, new_left, new_slopes = cost(tried)
        better = new < worth
        at[better], worth[better] = tried[better], new[better]
        left[better], slopes[better] = new_left[better], new_slopes[better]
        damping = np.where(better, damping / 5, damping * 5).clip(1e-6, 1e6)
    return at


def _residual_sd(
    at: Array, hill: np.ndarray, observed: Observed, layout: Layout, prior: tuple[Array, Array], margin: float
) -> float:
    """Of the better of the two forms: what it leaves, by the degrees of freedom that it leaves."""
    expected, slopes = _respond(at, hill, observed, layout)
    left = ((observed.scores - expected) ** 2).sum(axis=1)
    best = int(left.argmin())
    curve = slopes[best].T @ slopes[best] / (margin / 2) ** 2
    used = float(np.trace(np.linalg.solve(curve + np.diag(prior[1] ** -2.0), curve)))
    return float(np.sqrt(max(left[best], FLAT) / max(len(observed.scores) - used, 1.0)))
