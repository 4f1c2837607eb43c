"""Studies whose truth is known: answers, right and wrong, of students over seeds and dev examples; and noisy curves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from hskd_lightning.study.stats.scores import Array, Scores

EASE = 6.0
"""Mean and spread of how easy examples are, where the chance of one answer spreads by 1: 0.83 are right, and seeds that
are equally able differ by half a point on 872 examples, as on SST-2."""
OWN = 1.0
"""How far examples are easier for the one setting than for the other."""


@dataclass(frozen=True)
class Setting:
    """A student without its seeds: how easy each example is for it (E,), and how far its seeds differ in skill."""

    ease: Array
    spread: float

    @property
    def accuracy(self) -> float:
        """Over all seeds, on these examples."""
        return float(ndtr(self.ease / math.sqrt(1 + self.spread**2)).mean())

    def scores(self, seeds: int, dice: np.random.Generator) -> Scores:
        """What so many seeds of it answer."""
        skill, chance = dice.normal(0, self.spread, (seeds, 1)), dice.normal(size=(seeds, len(self.ease)))
        right = (self.ease + skill + chance > 0).astype(float)  # (n, E)
        return Scores(dict(enumerate(right.mean(axis=1).tolist())), dict(enumerate(right)))


def pairs(
    studies: int, examples: int, spreads: tuple[float, float], loss: float, fixed: bool, dice: np.random.Generator
) -> Iterator[tuple[Setting, Setting]]:
    """A setting and its reference, to which it truly loses `loss`.

    Args:
        studies, examples: how many studies, of how many dev examples each.
        spreads: of the skill of either's seeds.
        loss: in units of score.
        fixed: the loss is that on just these examples. Otherwise it is that over all there could be, of which each
            study draws its own.
        dice: where all randomness comes from.
    """
    for _ in range(studies):
        ease = dice.normal(EASE, EASE, examples)
        one, reference = (ease + dice.normal(0, OWN, examples) for _ in range(2))
        target = Setting(reference, spreads[1])
        yield Setting(one + (_here if fixed else _everywhere)(one, target, spreads[0], loss), spreads[0]), target


def _here(ease: Array, reference: Setting, spread: float, loss: float) -> float:
    wanted = reference.accuracy - loss
    return float(brentq(lambda by: Setting(ease + by, spread).accuracy - wanted, -50, 50, xtol=1e-6))


def _everywhere(ease: Array, reference: Setting, spread: float, loss: float) -> float:
    """Normal ease, skill and chance add up to a normal number, whose chance to be above 0 is a formula."""
    own, other = (math.sqrt(1 + each**2 + EASE**2 + OWN**2) for each in (spread, reference.spread))
    return float(ndtri(ndtr(EASE / other) - loss)) * own - EASE


def curve(
    amounts: Array, truth: Array, seeds: int, sd: float, dice: np.random.Generator
) -> dict[float, dict[int, float]]:
    """Normal scores of seeds that share nothing, around the truth (A,)."""
    scores = truth + dice.normal(0, sd, (seeds, len(truth)))
    return {amount: dict(enumerate(column)) for amount, column in zip(amounts.tolist(), scores.T.tolist(), strict=True)}
