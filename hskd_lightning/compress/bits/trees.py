"""Scalar quantisers whose every bit refines the ones before it: values halved, and their halves again."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 64
"""Units that are looked at together: memory is bounded by so many columns of a sample, in float64."""


def split_trees(values: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """The trees of W units.

    Args:
        values: (N, W) a sample.
        levels: halvings.

    Returns:
        (W, 2 ** (levels + 1) - 1) means of each node's values, level after level, a half that has no value taking that
        of the whole; (levels + 1, W) squared errors, summed over the sample, of values taken for their node's mean.
    """
    parts = [_Trees(part, levels).grown() for part in values.split(BLOCK, dim=1)]
    return torch.cat([means for means, _ in parts]), torch.cat([errors for _, errors in parts], dim=1)


class _Trees:
    """The trees of some units while they grow.

    A node is a range [low, high) of a unit's sorted values, halved where that leaves the least error: the best of
    all places, as in one dimension the two halves are neighbours.
    """

    def __init__(self, values: Tensor, levels: int) -> None:
        self.levels = levels
        middle = values.double().mean(dim=0)
        self.middle = middle
        self.values = (values.double() - middle).sort(dim=0).values  # (N, W)
        self.count, units = self.values.shape
        self.sums = torch.cat([middle.new_zeros(1, units), self.values.cumsum(dim=0)])  # (N + 1, W)
        self.energy = self.values.square().sum(dim=0)
        self.ends = torch.arange(1, self.count + 1)[:, None]  # of a lower half that ends with each value

    def grown(self) -> tuple[Tensor, Tensor]:
        """Means and errors, see `split_trees`."""
        units = self.values.shape[1]
        low, high = torch.zeros(1, units, dtype=torch.int64), torch.full((1, units), self.count)
        above = torch.zeros(1, units, dtype=torch.float64)
        node = torch.zeros(self.count, units, dtype=torch.int64)  # of each value
        means, errors = [], []
        for level in range(self.levels + 1):
            total, count = self._sum(low, high), high - low  # (2 ** level, W)
            above = torch.where(count > 0, total / count.clamp(min=1), above)
            means.append(above)
            errors.append(self.energy - (total * above).sum(dim=0))
            if level < self.levels:
                cut = self._halved(low, high, node)
                low, high = (_interleaved(*ends) for ends in ((low, cut), (cut, high)))
                node = 2 * node + (self.ends > cut.gather(0, node))
                above = above.repeat_interleave(2, dim=0)
        return (torch.cat(means) + self.middle).T, torch.stack(errors).clamp(min=0)

    def _sum(self, low: Tensor, high: Tensor) -> Tensor:
        return self.sums.gather(0, high) - self.sums.gather(0, low)

    def _halved(self, low: Tensor, high: Tensor, node: Tensor) -> Tensor:
        """Where each node's lower half ends: behind the value that leaves both halves the most of their sums' squares,
        the first of equals; where the node does, if it has no two values.
        """
        left, right = self.ends - low.gather(0, node), high.gather(0, node) - self.ends  # how many
        lower = self.sums[1:] - self.sums.gather(0, low.gather(0, node))
        upper = self.sums.gather(0, high.gather(0, node)) - self.sums[1:]
        kept = lower.square() / left + upper.square() / right.clamp(min=1)
        kept = kept.masked_fill(right == 0, -torch.inf)
        best = torch.full(low.shape, -torch.inf, dtype=kept.dtype).scatter_reduce(0, node, kept, "amax")
        ends = torch.where((kept == best.gather(0, node)) & (right > 0), self.ends, self.count)
        return high.scatter_reduce(0, node, ends, "amin")


def _interleaved(first: Tensor, second: Tensor) -> Tensor:
    """The lower and the upper half of each node, one after the other."""
    return torch.stack([first, second], dim=1).flatten(0, 1)
