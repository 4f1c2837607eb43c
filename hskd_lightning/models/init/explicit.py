"""student/init=explicit"""

from collections.abc import Sequence

from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.models.init.base import FineTuned, check_blocks, take_blocks


class ExplicitBlocks:
    """Blocks of the teacher by number, with its embeddings and its head: `student.init.blocks=[0,3]`.

    Config::

        student:
          init:  # python train.py student=layer_drop student/init=explicit 'student.init.blocks=[0,3]'
            name: explicit
            blocks: [0, 3]

    Args:
        blocks: their numbers, 0-based, as many as `student.shape.blocks`.
    """

    path = None
    drawn = False
    weighing = None

    def __init__(self, blocks: Sequence[int]) -> None:
        self.blocks = blocks

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        check_blocks("explicit", self.blocks, student, teacher)

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        return take_blocks(self.blocks, student, teacher)
