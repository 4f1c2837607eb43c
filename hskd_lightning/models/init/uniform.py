"""student/init=uniform"""

from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.models.init.base import FineTuned, check_blocks, take_blocks


class UniformBlocks:
    """Blocks spread evenly over the teacher, the last one among them, with its embeddings and its head.

    Config::

        student:
          init:  # python train.py student=layer_drop student/init=uniform
            name: uniform
    """

    path = None
    drawn = False
    weighing = None

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        check_blocks("uniform", "uniform", student, teacher)

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        return take_blocks("uniform", student, teacher)
