"""control=constant"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.control.base import Controlled, Teachable, with_values
from hskd_lightning.knowledge.control.moments import TargetMoments, measure_targets
from hskd_lightning.knowledge.source import KnowledgeSource


class ConstantValues:
    """The same bytes spent on nothing: every target is its unit's mean over the training split.

    A student can fit it without looking at the example. Tokens and masks stay the true ones; a mask says which units
    are compared, and a student that has every unit's mean is right whatever it says.

    Config::

        control:  # python train.py control=constant
          name: constant
    """

    trained = True

    def source(self, teachable: Teachable) -> KnowledgeSource:
        true = teachable.true()
        return Controlled(true, true, Constant(measure_targets(teachable.targets(true))))


@dataclass(frozen=True)
class Constant:
    """Replaces a target's values by the mean of each unit, whatever the example."""

    moments: TargetMoments

    def __call__(self, ids: Tensor, target: HiddenTarget) -> HiddenTarget:
        mean, _ = self.moments.at(target)
        return with_values(target, mean)

    def to(self, device: torch.device) -> Constant:
        return Constant(self.moments.to(device))
