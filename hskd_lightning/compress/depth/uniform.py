"""depth=uniform"""

from hskd_lightning.compress.depth.base import evenly, keep_top
from hskd_lightning.compress.keep import Spelled, check_keep, count_kept
from hskd_lightning.hsk import LayerMap


class UniformLayers:
    """The paper's depth: student states spread evenly over the lowest `top` teacher blocks, the top `keep` pairs kept.

    Student state i learns from teacher state round(i * top / S), half to even (Liu et al. 2021, section on depth;
    the released code agrees). The paper compares top = 8, 10, 12 on a teacher of 12 blocks.

    Config::

        depth:  # python train.py depth=uniform depth.top=8 depth.keep=1
          name: uniform
          top: 8
          keep: 1

    Args:
        top: highest teacher state used: a state's number, a share of L (0.6667 is the paper's 8 of 12), or null for L.
        keep: how many pairs, counted from the top: a count, a share of S+1, or null for all.
    """

    def __init__(self, top: Spelled = None, keep: Spelled = None) -> None:
        self.top = check_keep("depth.top", top)
        self.keep = check_keep("depth.keep", keep)

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        check_keep("depth.top", self.top, teacher_blocks)
        return keep_top(evenly(count_kept(self.top, teacher_blocks), student_blocks), self.keep)
