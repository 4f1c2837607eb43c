"""width=random_projection"""

import torch

from hskd_lightning.compress.keep import Spelled, check_keep, count_kept
from hskd_lightning.compress.width.base import Moments, Reach, generator
from hskd_lightning.compress.width.codes import Projection


class RandomProjection:
    """W random orthonormal directions, shared by all layers: what PCA must beat. Not in the paper.

    The directions are the first W columns of one random rotation of the D units, so keeping fewer is taking a prefix,
    and the mean squared error over them is the plain loss in expectation.

    Config::

        width:  # python train.py width=random_projection width.keep=77
          name: random_projection
          keep: 77
          seed: 0

    Args:
        keep: directions kept: a count, a share of D, or null for all.
        seed: another seed, another rotation. It is not the run's seed: cells of one study share it.
    """

    needs_moments = False
    ordered = True
    reach: Reach = "token"

    def __init__(self, keep: Spelled = None, seed: int = 0) -> None:
        self.keep = check_keep("width.keep", keep)
        self.seed = seed

    def fit(self, units: int, moments: Moments | None) -> Projection:
        check_keep("width.keep", self.keep, units)
        gaussian = torch.randn(units, units, generator=generator(self.seed), dtype=torch.float64)
        rotation, triangle = torch.linalg.qr(gaussian)
        rotation = rotation * triangle.diagonal().sign()  # without it QR's signs are not uniformly distributed
        return Projection(torch.zeros(1, units), rotation[None, :, : count_kept(self.keep, units)])
