"""Scores by hand and by the dice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray


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
