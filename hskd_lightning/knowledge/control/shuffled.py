"""control=shuffled"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hskd_lightning import hashed_random
from hskd_lightning.data.tokens import TokenSplit
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget
from hskd_lightning.knowledge.control.base import Controlled, LookUp, Teachable
from hskd_lightning.knowledge.source import KnowledgeSource


class ShuffledExamples:
    """The true states of another example: all that the teacher knows, told of the wrong text.

    Each example has a partner for good, drawn among those of its own number of tokens, or the nearest where it is
    alone with it; each is the partner of one other. The best-ranked of the partner's kept tokens stands at the best of
    the example's own positions, and so on down; one that keeps more than its partner begins again with the best. Values
    bring their masks along.

    Train and selection are shuffled each within itself: what a student is selected on must not have been taught to it.

    Config::

        control:  # python train.py control=shuffled control.seed=1
          name: shuffled
          seed: 1

    Args:
        seed: another seed, other partners. It is not the run's seed: cells of one study share them.
    """

    trained = True

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def source(self, teachable: Teachable) -> KnowledgeSource:
        true = teachable.true()
        partners = Partners.drawn([split for split in teachable.splits if len(split)], self.seed)
        return Controlled(true, true, Swap(partners, teachable.look_up(true)))


@dataclass(frozen=True)
class Partners:
    """Whose states each example is taught: a derangement."""

    ids: Tensor  # (N,) int64, rising
    others: Tensor  # (N,) int64

    @classmethod
    def drawn(cls, splits: list[TokenSplit], seed: int) -> Partners:
        """Draw the partners, each within its own split.

        Raises:
            ConfigError: a split has one example alone.
        """
        ids = torch.cat([split.ids for split in splits])
        others = torch.cat([split.ids[derangement(split.ids, split.lengths, seed)] for split in splits])
        ids, order = ids.sort()
        return cls(ids, others[order])

    def of(self, ids: Tensor) -> Tensor:
        """(B,) example ids -> (B,) their partners' ids."""
        return self.others[torch.searchsorted(self.ids, ids)]


def derangement(ids: Tensor, lengths: Tensor, seed: int) -> Tensor:
    """(N,) ids and lengths -> (N,) rows of the partners, none its own: blocks of one length, each turned by one."""
    if len(ids) == 1:
        remedy = "give it more examples, or none with data.selection=0.0"
        raise ConfigError("control", "shuffled", "splits of at least 2 examples: one of these has 1", remedy)
    by_draw = hashed_random.of_examples(ids, seed).argsort(stable=True)
    order = by_draw[lengths[by_draw].argsort(stable=True)]  # by length, and by draw within one
    partners = torch.empty_like(order)
    for block in order.split(block_sizes(lengths[order])):
        partners[block] = block.roll(1)
    return partners


def block_sizes(lengths: Tensor) -> list[int]:
    """(N,) rising lengths -> sizes of the runs of one length, where a lone example joins the nearer run beside it."""
    values, counts = lengths.unique_consecutive(return_counts=True)
    gaps = [torch.inf, *values.diff().tolist(), torch.inf]  # before each run, and behind the last
    joined = {run if gaps[run] < gaps[run + 1] else run + 1 for run in (counts == 1).nonzero().flatten().tolist()}
    sizes: list[int] = []
    for run, count in enumerate(counts.tolist()):
        if run in joined and sizes:
            sizes[-1] += count
        else:
            sizes.append(count)
    return sizes


@dataclass(frozen=True)
class Swap:
    """Replaces a target by that of the example's partner."""

    partners: Partners
    look_up: LookUp

    def __call__(self, ids: Tensor, target: HiddenTarget) -> HiddenTarget:
        other = self.look_up(self.partners.of(ids))
        return with_values_of(target, other.to(target.values.device))

    def to(self, device: torch.device) -> Swap:
        return self


def with_values_of(target: HiddenTarget, other: HiddenTarget) -> HiddenTarget:
    """`other`'s values, rank by rank, at `target`'s tokens."""
    rank = torch.arange(target.tokens.valid.shape[-1], device=target.values.device)
    kept = other.tokens.valid.sum(dim=-1, keepdim=True)  # (B, P, 1)
    taken = (rank % kept.clamp(min=1))[..., None]  # (B, P, K, 1)
    units = None if other.units is None else other.units.take_along_dim(taken, dim=2)
    return HiddenTarget(other.values.take_along_dim(taken, dim=2), target.tokens, units)
