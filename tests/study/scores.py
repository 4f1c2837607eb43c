"""Scores by hand and by the dice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from hskd_lightning.study.stats.scores import Scores


def by_seed(*scores: float) -> dict[int, float]:
    """Scores of seeds 1, 2, 3, ..."""
    return dict(enumerate(scores, start=1))


def one_seed(points: Mapping[float, float]) -> dict[float, dict[int, float]]:
    """A curve of a single seed: {amount: score}."""
    return {amount: by_seed(score) for amount, score in points.items()}


def noisy(
    amounts: Iterable[float], truth: NDArray[np.float64], seeds: int, sd: float, dice: np.random.Generator
) -> dict[float, dict[int, float]]:
    """A curve whose seeds differ from the truth (A,) by a level of their own and by noise at each amount."""
    scores = truth + dice.normal(0, sd, (seeds, 1)) + dice.normal(0, sd, (seeds, len(truth)))
    return {amount: by_seed(*column) for amount, column in zip(amounts, scores.T.tolist(), strict=True)}


def from_table(right: NDArray[np.float64]) -> Scores:
    """The scores of seeds 1, 2, 3, ... from what each example contributes: (n, E)."""
    return Scores(by_seed(*right.mean(axis=1).tolist()), dict(enumerate(right, start=1)))


def answered(
    dice: np.random.Generator, seeds: int, examples: int, spread: float, ease: NDArray[np.float64] | float = 1.0
) -> Scores:
    """Right and wrong answers: an example is right if its ease (E,), its seed's skill and chance add up to more than 0.

    Args:
        spread: of the skill of seeds, where the chance of an answer spreads by 1.
    """
    skill, chance = dice.normal(0, spread, (seeds, 1)), dice.normal(size=(seeds, examples))
    return from_table((ease + skill + chance > 0).astype(float))
