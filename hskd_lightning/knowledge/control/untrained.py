"""control=untrained"""

from hskd_lightning.knowledge.control.base import Controlled, Teachable
from hskd_lightning.knowledge.source import KnowledgeSource


class UntrainedTeacher:
    """The states of the same teacher before fine-tuning: random weights for one made here, else the pretrained ones.

    All of the hidden stage is the untrained teacher's: the attention that ranks tokens and the fit of the width
    strategy too, for which tokens and units matter is knowledge that fine-tuning may have made. Logits stay the
    fine-tuned teacher's, and so do the first weights of a student that starts from its teacher.

    Config::

        control:  # python train.py control=untrained
          name: untrained
    """

    trained = False

    def source(self, teachable: Teachable) -> KnowledgeSource:
        return Controlled(teachable.logits(), shown=teachable.untrained())
