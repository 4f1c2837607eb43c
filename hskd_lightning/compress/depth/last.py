"""depth=last"""

from hskd_lightning.compress.depth.base import check_inner_states, keep_top
from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.hsk import LayerMap


class LastLayers:
    """PKD-last (Sun et al. 2019, arXiv 1908.09355): the S-1 teacher blocks below the last one.

    12 -> 6 blocks gives 1<-7, 2<-8, 3<-9, 4<-10, 5<-11.

    Config::

        depth:  # python train.py depth=last depth.keep=2
          name: last
          keep: 2

    Args:
        keep: how many of the S-1 pairs, counted from the top: a count, a share, or null for all.
    """

    def __init__(self, keep: Spelled = None) -> None:
        self.keep = check_keep("depth.keep", keep)

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        check_inner_states("last", teacher_blocks, student_blocks)
        below = teacher_blocks - student_blocks
        return keep_top([(state, below + state) for state in range(1, student_blocks)], self.keep)
