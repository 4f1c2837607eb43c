"""student/init=pruned"""

from transformers import PreTrainedConfig, PreTrainedModel

from hskd_lightning.errors import ConfigError
from hskd_lightning.models.init.base import Blocks, FineTuned, choose_blocks
from hskd_lightning.models.prune import KINDS, Importance, Weighing, prune
from hskd_lightning.models.rosita import RositaConfig


class Pruned:
    """The most important heads and neurons of some of the teacher's blocks (ROSITA, arXiv 2103.11367).

    Config::

        student:
          init:  # python train.py student=rosita6 student/init=pruned student.init.importance=taylor
            name: pruned
            importance: taylor  # or magnitude, random
            blocks: first  # or uniform, or [0, 3]
            dropout: false

    Args:
        importance: taylor, magnitude or random; see `prune.importance`.
        blocks: first (the paper's), uniform, or a list of block numbers, 0-based.
        dropout: weigh with the teacher's dropout on, as the released code does (`preset.importance_dropout`).
    """

    path = None

    def __init__(self, importance: Importance = "taylor", blocks: Blocks = "first", dropout: bool = False) -> None:
        if importance not in KINDS:
            remedy = "write student.init.importance=taylor"
            raise ConfigError("student.init.importance", importance, ", ".join(KINDS), remedy)
        self.weighing = Weighing(importance, dropout)
        self.blocks = blocks
        self.drawn = self.weighing.drawn

    def check(self, student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
        if not isinstance(student, RositaConfig):
            allowed = "a ROSITA: student=rosita6 or rosita8, of any sizes"
            raise ConfigError("student/init", "pruned", allowed, "write student/init=first, random or hub")
        choose_blocks(self.blocks, student.num_hidden_layers, teacher.num_hidden_layers)

    def create(self, student: PreTrainedConfig, teacher: FineTuned, seed: int) -> PreTrainedModel:
        assert isinstance(student, RositaConfig)
        scores = teacher.weigh(self.weighing)
        kept = choose_blocks(self.blocks, student.num_hidden_layers, teacher.config.num_hidden_layers)
        return prune(teacher.load(), student, kept, scores)
