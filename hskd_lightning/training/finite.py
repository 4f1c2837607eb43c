"""What watches over a stage: its losses, and the weights that are kept of it, must be numbers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from hskd_lightning import ranks
from hskd_lightning.errors import TrainingError

REMEDY = "lower the stage's learning rate, or train in trainer.precision=32-true"


class Losses:
    """The losses since they were last read: they stay on their device until then, so no step waits for its own."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._losses: list[Tensor] = []

    def add(self, step: int, loss: Tensor) -> None:
        """Remember the () loss of a step."""
        self._steps.append(step)
        self._losses.append(loss.detach())

    def read(self, stage: str) -> float:
        """The last loss, of all ranks; all are copied from their device at once. NaN where there is none to read.

        What is no number on one rank is none on any: all stop.

        Raises:
            TrainingError: one of them is not finite; the first such step is named.
        """
        if not self._losses:
            return math.nan
        steps, losses = self._steps, ranks.mean(torch.stack(self._losses)).tolist()
        self._steps, self._losses = [], []
        for step, loss in zip(steps, losses, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(f"the loss became {loss} in stage {stage}, step {step}: {REMEDY}")
        return float(losses[-1])


def check_weights(state: Mapping[str, Tensor], stage: str, step: int) -> None:
    """Refuse weights that are no numbers: the loss of the step that made them was still finite, the next is not.

    Raises:
        TrainingError: with the stage and the number of steps made.
    """
    places = defaultdict(list)  # a table whose rows are not all in use stays where it was
    for weight in state.values():
        if weight.is_floating_point():
            places[weight.device].append(weight)
    if not all(torch.stack(torch._foreach_norm(weights)).isfinite().all() for weights in places.values()):
        raise TrainingError(f"weights became infinite or NaN in stage {stage}, by step {step}: {REMEDY}")
