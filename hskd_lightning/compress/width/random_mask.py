"""width=random_mask"""

import torch

from hskd_lightning.compress.keep import Counts, Spelled, check_keep, count_kept
from hskd_lightning.compress.width.base import Masked, Moments, Reach, check_counts, check_masked, generator
from hskd_lightning.compress.width.codes import StaticMask


class RandomMask:
    """The paper's random mask: one fixed random subset of the units, shared by all layers.

    The paper keeps each unit with probability r, and so does the released code; ours keeps a fixed number of them, so
    that the budget is the one asked for. The subset is a prefix of one seeded permutation: a smaller one lies inside a
    larger one.

    Config::

        width:  # python train.py width=random_mask width.keep=0.1
          name: random_mask
          keep: 0.1
          masked: ignore  # or zero
          seed: 0
          counts: rounded  # or truncated

    Args:
        keep: units kept: a count, a share of D, or null for all.
        masked: ignore leaves the other units out of the loss; zero pulls the student to 0 there (released code).
        seed: another seed, another subset. It is not the run's seed: cells of one study share it.
        counts: how a share becomes a number of units: rounded, or truncated as the released code's other masks are.
    """

    needs_moments = False
    ordered = True
    reach: Reach = "token"

    def __init__(
        self, keep: Spelled = None, masked: Masked = "ignore", seed: int = 0, counts: Counts = "rounded"
    ) -> None:
        self.keep = check_keep("width.keep", keep)
        self.masked = check_masked(masked)
        self.seed = seed
        self.counts = check_counts(counts)

    def fit(self, units: int, moments: Moments | None) -> StaticMask:
        check_keep("width.keep", self.keep, units)
        order = torch.randperm(units, generator=generator(self.seed))
        return StaticMask(order[None, : count_kept(self.keep, units, self.counts)], self.masked)
