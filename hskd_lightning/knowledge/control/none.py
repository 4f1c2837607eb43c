"""control=none"""

from hskd_lightning.knowledge.control.base import Sources
from hskd_lightning.knowledge.source import KnowledgeSource


class NoControl:
    """No control: the hidden stage is taught the teacher's own states.

    Config::

        control:  # python train.py control=none
          name: none
    """

    trained = True

    def source(self, sources: Sources) -> KnowledgeSource:
        return sources.true()
