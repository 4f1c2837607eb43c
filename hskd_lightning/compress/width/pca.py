"""width=pca"""

import torch

from hskd_lightning.compress.keep import Spelled, check_keep, count_kept
from hskd_lightning.compress.width.base import Moments, Reach
from hskd_lightning.compress.width.codes import Projection


class Pca:
    """The leading principal components of each kept teacher state. Ours: the paper has no PCA.

    Components are ordered by falling variance, so keeping fewer is taking a prefix. Both teacher and student are
    centred by the teacher's mean and projected; with all D components kept the loss equals the plain one, as the
    directions are orthonormal.

    Config::

        width:  # python train.py width=pca width.keep=77
          name: pca
          keep: 77

    Args:
        keep: components kept: a count, a share of D, or null for all.
    """

    needs_moments = True
    ordered = True
    reach: Reach = "token"

    def __init__(self, keep: Spelled = None) -> None:
        self.keep = check_keep("width.keep", keep)

    def fit(self, units: int, moments: Moments | None) -> Projection:
        check_keep("width.keep", self.keep, units)
        assert moments is not None
        _, directions = torch.linalg.eigh(moments.covariance)  # ascending: (P, D, D)
        directions = directions.flip(-1)[..., : count_kept(self.keep, units)]  # (P, D, W)
        # An eigenvector's sign is arbitrary: make its largest entry positive, so that refits agree.
        largest = directions.gather(-2, directions.abs().argmax(dim=-2, keepdim=True))
        return Projection(moments.mean, directions * largest.sign())
