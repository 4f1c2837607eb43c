"""depth=all"""

from hskd_lightning.compress.depth.base import evenly
from hskd_lightning.hsk import LayerMap


class AllLayers:
    """Every student state, embeddings included, spread over the whole teacher: full depth.

    Config::

        depth:  # python train.py depth=all
          name: all
    """

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        return LayerMap(tuple(evenly(teacher_blocks, student_blocks)))
