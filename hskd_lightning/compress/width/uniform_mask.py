"""width=uniform_mask"""

import torch

from hskd_lightning.compress.keep import Share, Spelled, check_keep, count_kept
from hskd_lightning.compress.width.base import Masked, Moments, Reach, check_masked
from hskd_lightning.compress.width.codes import StaticMask


class UniformMask:
    """The paper's uniform mask: units round(i / r) for i < int(D r), shared by all layers.

    Config::

        width:  # python train.py width=uniform_mask width.keep=0.1
          name: uniform_mask
          keep: 0.1
          masked: ignore  # or zero

    Args:
        keep: units kept: a share r of D as in the paper, a count n (then r = n / D), or null for all.
        masked: ignore leaves the other units out of the loss; zero pulls the student to 0 there (released code).
    """

    needs_moments = False
    ordered = False
    reach: Reach = "token"

    def __init__(self, keep: Spelled = None, masked: Masked = "ignore") -> None:
        self.keep = check_keep("width.keep", keep)
        self.masked = check_masked(masked)

    def fit(self, units: int, moments: Moments | None) -> StaticMask:
        check_keep("width.keep", self.keep, units)
        if isinstance(self.keep, Share):
            share, kept = self.keep.part, max(1, int(units * self.keep.part + 1e-9))  # 100 * 0.29 is 28.999999999999996
        else:
            kept = count_kept(self.keep, units)
            share = kept / units
        return StaticMask(torch.tensor([[round(unit / share) for unit in range(kept)]]), self.masked)
