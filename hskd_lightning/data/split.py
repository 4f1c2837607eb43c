"""The selection split: a slice of train on which checkpoints are chosen, so that dev is scored once."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.errors import ConfigError


class Splits(NamedTuple):
    """Train without the selection slice, and that slice (empty if its share is 0)."""

    train: TokenSplit
    selection: TokenSplit


def shuffled(total: int, seed: int) -> Tensor:
    """A seeded order of `total` rows."""
    return torch.randperm(total, generator=torch.Generator().manual_seed(seed))


def limit(split: TokenSplit, count: int | None, seed: int = 0) -> TokenSplit:
    """A seeded random subset of `count` examples, in the split's own order; all of them if there are fewer."""
    if count is None or count >= len(split):
        return split
    return split.take(shuffled(len(split), seed)[:count].sort().values)


def hold_out(split: TokenSplit, share: float, seed: int = 0) -> Splits:
    """Hold out a share of a split, stratified by class where there are classes.

    The seed is the data's, never the run's: the teacher must not have trained on what a student is selected on.

    Raises:
        ConfigError: so few examples that nothing is held out of them, or nothing left.
    """
    held = torch.zeros(len(split), dtype=torch.bool)
    order = shuffled(len(split), seed)
    if split.labels.is_floating_point():
        held[order[: round(share * len(split))]] = True
    else:
        for label in split.labels.unique():
            rows = order[split.labels[order] == label]
            held[rows[: round(share * len(rows))]] = True
    if share > 0 and (held.all() or not held.any()):
        raise _too_few(split, share)
    return Splits(split.take((~held).nonzero().squeeze(1)), split.take(held.nonzero().squeeze(1)))


def _too_few(split: TokenSplit, share: float) -> ConfigError:
    least = math.floor(0.5 / min(share, 1 - share)) + 1  # of which the share, and the rest, round to an example
    of = "" if split.labels.is_floating_point() else " of one class"
    allowed = f"a share of at least {least} examples{of}: there are {len(split)} in all"
    remedy = "add examples, or write data.selection=0: the last checkpoint is taken then"
    return ConfigError("data.selection", share, allowed, remedy)
