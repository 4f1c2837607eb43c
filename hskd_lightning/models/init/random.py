"""student/init=random"""

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.models import encoder
from hskd_lightning.models.init.base import FineTuned


class RandomWeights:
    """Weights drawn by the run's seed: of any shape, and the control for every other initialisation.

    Config::

        student:
          init:  # python train.py student/init=random
            name: random
    """

    path = None
    drawn = True
    weighing = None

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        """Refuse nothing: random weights fit any shape."""

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        return encoder.build_classifier(student)
