"""depth=bottom"""

from hskd_lightning.compress.depth.base import evenly
from hskd_lightning.compress.keep import Spelled, check_keep, count_kept
from hskd_lightning.hsk import LayerMap


class BottomLayers:
    """The lowest `keep` pairs of the even map, embeddings first: the control for the paper's choice of the top.

    Config::

        depth:  # python train.py depth=bottom depth.keep=2
          name: bottom
          keep: 2

    Args:
        keep: how many pairs, counted from the bottom: a count, a share of S+1, or null for all.
    """

    def __init__(self, keep: Spelled = None) -> None:
        self.keep = check_keep("depth.keep", keep)

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        pairs = evenly(teacher_blocks, student_blocks)
        check_keep("depth.keep", self.keep, len(pairs))
        return LayerMap(tuple(pairs[: count_kept(self.keep, len(pairs))]))
