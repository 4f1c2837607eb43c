"""student/init=first"""

from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.models.init.base import FineTuned, check_blocks, take_blocks


class FirstBlocks:
    """The teacher's lowest blocks, with its embeddings and its head.

    Config::

        student:
          init:  # python train.py student=layer_drop student/init=first
            name: first
    """

    path = None
    drawn = False
    weighing = None

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        check_blocks("first", "first", student, teacher)

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        return take_blocks("first", student, teacher)
