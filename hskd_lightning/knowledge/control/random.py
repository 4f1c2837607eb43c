"""control=random"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hskd_lightning import hashed_random
from hskd_lightning.devices import moved
from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.control.base import Controlled, Teachable, with_values
from hskd_lightning.knowledge.control.moments import TargetMoments, measure_targets
from hskd_lightning.knowledge.source import KnowledgeSource


class RandomValues:
    """Normal noise with the mean and variance that each unit, or component, of the true targets has in each pair.

    The draw is a hash of (seed, example id, layer pair, position, unit): one for all epochs, the same in any batch and
    from a store. Units are drawn independently, so the noise has the states' spread and not their covariance. Tokens
    and masks stay the true ones: what is replaced is what is said, not where.

    Config::

        control:  # python train.py control=random control.seed=1
          name: random
          seed: 1

    Args:
        seed: another seed, another draw. It is not the run's seed: cells of one study share their noise.
    """

    trained = True

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def source(self, teachable: Teachable) -> KnowledgeSource:
        true = teachable.true()
        return Controlled(true, true, Noise(measure_targets(teachable.targets(true)), self.seed))


@dataclass(frozen=True)
class Noise:
    """What `RandomValues` draws for the examples of a batch."""

    moments: TargetMoments
    seed: int

    def __call__(self, ids: Tensor, target: HiddenTarget) -> HiddenTarget:
        mean, deviation = self.moments.at(target)
        noise = standard_normal(moved(ids, mean.device), target.tokens.positions, target.values.shape[-1], self.seed)
        return with_values(target, mean + deviation * noise)

    def to(self, device: torch.device) -> Noise:
        return Noise(self.moments.to(device), self.seed)


def standard_normal(ids: Tensor, positions: Tensor, units: int, seed: int) -> Tensor:
    """(B,) example ids and (B, P, K) token positions -> (B, P, K, W) standard normal numbers."""
    pair = torch.arange(positions.shape[1], device=ids.device)[:, None]
    unit = torch.arange(units, device=ids.device)
    by_pair = hashed_random.scramble(hashed_random.of_examples(ids, seed)[:, None, None] + pair)  # (B, P, 1)
    by_token = hashed_random.scramble(by_pair + positions)  # (B, P, K)
    return hashed_random.normal(hashed_random.scramble(by_token[..., None] + unit))  # (B, P, K, W)
