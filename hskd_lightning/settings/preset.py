"""The switches between our way and the released code's."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from hskd_lightning.settings.types import (
    NODE,
    Flag,
    FromTwoOrNull,
    Optimizer,
    ShareBelowOne,
    ShareOrNull,
    Text,
    WholeOrNull,
)


@dataclass(frozen=True, config=NODE, kw_only=True)
class Preset:
    """conf/preset: each field is one place where the released code of Liu et al. (2021) differs from our own."""

    name: Text
    """Of the preset: default or paper."""
    teacher_dropout: Flag
    """Whether the teacher's dropout is in every target."""
    padding: Literal["ignore", "distill"]
    """Whether [PAD] counts as a token; with `distill`, batches are padded to `data.max_length`."""
    masked: Literal["ignore", "zero"]
    """Whether units off the mask are left out, or pull the student to 0."""
    mask_first_step: Flag
    """Whether static masks are applied in the very first step, too."""
    magnitude_scope: Literal["token", "batch"]
    """Whether a token, or a whole batch, has one threshold of magnitude."""
    magnitude_ties: Literal["first", "all"]
    """Whether units as large as the last one kept are left out, or kept too."""
    unit_counts: Literal["rounded", "truncated"]
    """How a share of the units becomes a number."""
    separators: Literal["per_example", "first_row"]
    """Whether each example's own separators are left out, or as many as the batch's first row has."""
    importance_dropout: Flag
    """Whether heads and neurons are weighed with the teacher's dropout on."""
    hidden_dropout: Flag
    """Whether the student's dropout is on in the hidden stage."""
    drop_last: Flag
    """Whether the smaller last batch of an epoch is left out."""
    hidden_saved_every: FromTwoOrNull
    """Optimiser steps between the moments at which the hidden stage's weights are kept; None: at its end."""
    map_init: Literal["torch", "normal", "checkpoint"]
    """What the learned map d -> D starts from."""
    warmup_from_zero: Flag
    """Whether the first step of a warm-up has a learning rate of 0."""
    baseline_epochs: Literal["both", "hidden", "prediction"]
    """Whose epochs a baseline without a hidden stage trains for."""
    baseline_warmup: ShareOrNull
    """Share of the steps over which such a baseline warms up; None: the prediction stage's."""
    select_on: Literal["selection", "dev"]
    """The split on which the best checkpoint is chosen."""
    eval_every: WholeOrNull
    """Optimiser steps between looks at that split; None: each epoch."""
    selection: ShareBelowOne
    """Share of train that is held out to select on."""
    regression_target: Literal["teacher", "labels"]
    """What a regression student's prediction stage fits."""
    soft_loss_mean: Literal["examples", "elements"]
    """What the soft cross entropy is averaged over."""
    clip_per_tensor: Flag
    """Whether each parameter's gradient is clipped by its own norm."""
    optimizer: Optimizer
    """Of both stages."""
