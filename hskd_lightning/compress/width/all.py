"""width=all"""

from hskd_lightning.compress.keep import Keep
from hskd_lightning.compress.width.base import Moments, Reach
from hskd_lightning.compress.width.codes import EveryUnit


class AllUnits:
    """Every hidden unit: full width.

    Config::

        width:  # python train.py width=all
          name: all
    """

    keep: Keep = None
    needs_moments = False
    ordered = True
    reach: Reach = "token"

    def fit(self, units: int, moments: Moments | None) -> EveryUnit:
        return EveryUnit()
