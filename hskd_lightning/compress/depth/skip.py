"""depth=skip"""

from hskd_lightning.compress.depth.base import check_inner_states, evenly, keep_top
from hskd_lightning.compress.keep import Spelled, check_keep
from hskd_lightning.hsk import LayerMap


class SkipLayers:
    """PKD-skip (Sun et al. 2019, arXiv 1908.09355): every (L/S)-th teacher block, without embeddings and last block.

    12 -> 6 blocks gives 1<-2, 2<-4, 3<-6, 4<-8, 5<-10. Where S does not divide L the state is rounded half to even.

    Config::

        depth:  # python train.py depth=skip depth.keep=2
          name: skip
          keep: 2

    Args:
        keep: how many of the S-1 pairs, counted from the top: a count, a share, or null for all.
    """

    def __init__(self, keep: Spelled = None) -> None:
        self.keep = check_keep("depth.keep", keep)

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        check_inner_states("skip", teacher_blocks, student_blocks)
        return keep_top(evenly(teacher_blocks, student_blocks)[1:-1], self.keep)
