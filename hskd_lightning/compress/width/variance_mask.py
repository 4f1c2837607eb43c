"""width=variance_mask"""

from hskd_lightning.compress.keep import Counts, Spelled, check_keep, count_kept
from hskd_lightning.compress.width.base import Masked, Moments, Reach, check_counts, check_masked
from hskd_lightning.compress.width.codes import StaticMask


class VarianceMask:
    """The units whose value varies most over the training split, chosen for each layer. Not in the paper.

    A unit that hardly moves says nothing about the example: this is the static mask that knows the data.

    Config::

        width:  # python train.py width=variance_mask width.keep=0.1
          name: variance_mask
          keep: 0.1
          masked: ignore  # or zero
          counts: rounded  # or truncated

    Args:
        keep: units kept: a count, a share of D, or null for all.
        masked: ignore leaves the other units out of the loss; zero pulls the student to 0 there (released code).
        counts: how a share becomes a number of units: rounded, or truncated (released code).
    """

    needs_moments = True
    ordered = True
    reach: Reach = "token"

    def __init__(self, keep: Spelled = None, masked: Masked = "ignore", counts: Counts = "rounded") -> None:
        self.keep = check_keep("width.keep", keep)
        self.masked = check_masked(masked)
        self.counts = check_counts(counts)

    def fit(self, units: int, moments: Moments | None) -> StaticMask:
        check_keep("width.keep", self.keep, units)
        assert moments is not None
        order = moments.variance.argsort(dim=-1, descending=True, stable=True)
        return StaticMask(order[:, : count_kept(self.keep, units, self.counts)], self.masked)
