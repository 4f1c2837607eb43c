"""How a stage trains."""

from __future__ import annotations

import dataclasses
from typing import Literal

from pydantic.dataclasses import dataclass

from hskd_lightning.settings.types import (
    NODE,
    Epochs,
    Flag,
    FromTwoOrNull,
    NotNegative,
    Optimizer,
    Positive,
    PositiveOrNull,
    Schedule,
    Share,
    ShareOrNull,
    Whole,
    WholeOrNull,
)

HIDDEN, PREDICTION = "hidden", "prediction"
"""The stages of distillation, in order."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class StageSettings:
    """conf/stage: how one stage trains, a teacher's fine-tuning included."""

    epochs: Epochs
    """Passes over the training split; a fraction is a part of one."""
    lr: Positive
    """The highest learning rate."""
    batch_size: Whole = 32
    """Examples a step."""
    schedule: Schedule = "constant"
    """constant, or linear: down to 0 at the last step."""
    warmup: Share = 0.0
    """Share of the steps over which the learning rate rises."""
    warmup_from_zero: Flag = False
    """Whether it starts at 0, as in the released code, whose first step changes nothing."""
    weight_decay: NotNegative = 0.01
    """Decoupled; of weight matrices alone."""
    clip: PositiveOrNull = 1.0
    """Largest gradient norm; None never clips."""
    clip_per_tensor: Flag = False
    """Clip each parameter by its own norm, as the released code does, instead of all by their common one."""
    optimizer: Optimizer = "adamw"
    """adamw, or bert_adam: without bias correction, as in the original BERT code."""
    dropout: Flag = True
    """Whether the student's own dropout is on while it trains."""
    saved_every: FromTwoOrNull = None
    """End with the weights that the released code keeps, which saves before every so manyth update: for 200 those after
    199, 399, ... updates, whichever is the last. A shorter stage keeps its end, as does every stage with None."""

    @property
    def common(self) -> StageSettings:
        """These settings without what is one stage's own."""
        return StageSettings(**{field.name: getattr(self, field.name) for field in dataclasses.fields(StageSettings)})

    def steps(self, steps_per_epoch: int) -> int:
        """Optimiser steps of the stage, over which its schedule runs: at least one."""
        return max(1, round(self.epochs * steps_per_epoch))

    def kept(self, steps: int) -> int:
        """After how many of so many steps the stage's weights are taken; those that follow are not worth making."""
        if self.saved_every is None or steps < self.saved_every:
            return steps
        return steps // self.saved_every * self.saved_every - 1


@dataclass(frozen=True, config=NODE, kw_only=True)
class HiddenStage(StageSettings):
    """conf/stage/hidden: the student learns the teacher's hidden states."""

    map_init: Literal["torch", "normal", "checkpoint"]
    """What the learned map starts from, for a student of another width."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class Baseline:
    """How the prediction stage differs in a run that has no hidden stage."""

    epochs: Literal["both", "hidden", "prediction"]
    """Both stages' epochs, so as many steps as a distilled student; or one stage's."""
    warmup: ShareOrNull
    """Share of the steps; None: the stage's own."""


@dataclass(frozen=True, config=NODE, kw_only=True)
class PredictionStage(StageSettings):
    """conf/stage/prediction: the student learns the teacher's predictions, or gold labels."""

    temperature: Positive
    """By which both sides' logits are divided."""
    select_on: Literal["selection", "dev"]
    """The split on which the best checkpoint is chosen."""
    eval_every: WholeOrNull
    """Optimiser steps between looks at that split; None: each epoch."""
    baseline: Baseline


@dataclass(frozen=True, config=NODE, kw_only=True)
class Stages:
    """The two stages of distillation."""

    hidden: HiddenStage
    prediction: PredictionStage
