"""The scores of one setting by seed, and where they are known the part of each dev example in them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from hskd_lightning.errors import ConfigError

Array = NDArray[np.float64]
BySeed = Mapping[int, float]
"""The score of one setting by seed; `Scores`, or any mapping where no predictions are known."""

TOLERANCE = 1e-5
"""How far a score may lie from the mean of its contributions: scores are computed in single precision."""


class Scores(Mapping[int, float]):
    """Scores by seed, a mapping, with what each dev example contributes to them.

    Args:
        by_seed: seed -> score.
        contributions: seed -> (E,), of the same dev examples in the same order for every seed and setting; their mean
            is the score. None: the predictions are not known, so nothing can be said of other sentences.
        examples: E, where it is known without the predictions.

    Raises:
        ConfigError: a score without contributions, contributions of several lengths, or with another mean.
    """

    def __init__(
        self, by_seed: BySeed, contributions: Mapping[int, Array] | None = None, examples: int | None = None
    ) -> None:
        self._by_seed = dict(by_seed)
        self.contributions = contributions if by_seed else None
        if self.contributions is not None:
            _check(self._by_seed, self.contributions)
            examples = len(next(iter(self.contributions.values())))
        self.examples = examples

    def __getitem__(self, seed: int) -> float:
        return self._by_seed[seed]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_seed)

    def __len__(self) -> int:
        return len(self._by_seed)

    def __repr__(self) -> str:
        return f"Scores({self._by_seed}, {self.examples or 'unknown'} examples)"

    @property
    def table(self) -> Array | None:
        """The contributions, a row for each seed: (n, E)."""
        return None if self.contributions is None else np.stack([self.contributions[seed] for seed in self])

    @property
    def resolution(self) -> float:
        """What one dev example is worth, the least by which scores can differ; 0 where E is not known."""
        return 1 / self.examples if self.examples else 0.0


def scores_of(by_seed: BySeed) -> Scores:
    """Scores, with nothing known of the examples where a plain mapping is given."""
    return by_seed if isinstance(by_seed, Scores) else Scores(by_seed)


def checked(scores: BySeed) -> BySeed:
    """Refuse scores that are not finite: a run that diverged is counted as a 0 or left out, but not by chance."""
    for seed, score in scores.items():
        if not math.isfinite(score):
            remedy = "leave the seed out of every setting, or give it the score of a constant prediction"
            raise ConfigError(f"scores[{seed}]", score, "a finite number", remedy)
    return scores


def _check(by_seed: BySeed, contributions: Mapping[int, Array]) -> None:
    remedy = "collect results and predictions again, from the same cells"
    if missing := sorted(set(by_seed) - set(contributions)):
        raise ConfigError("examples", f"none of seed {missing[0]}", "the predictions of every seed", remedy)
    if len(lengths := {len(contributions[seed]) for seed in by_seed}) > 1:
        raise ConfigError("examples", sorted(lengths), "the same dev examples for every seed", remedy)
    for seed, score in by_seed.items():
        mean = float(np.mean(contributions[seed]))
        if not abs(mean - score) <= TOLERANCE:
            raise ConfigError("examples", f"a mean of {mean:.6f} for seed {seed}", f"its score, {score:.6f}", remedy)
