"""depth=explicit"""

from collections.abc import Sequence

from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import LayerMap


class ExplicitLayers:
    """Layer pairs written out: `depth.pairs=[[2,8],[4,12]]` lets student state 2 learn from teacher state 8, and so on.

    Config::

        depth:  # python train.py depth=explicit 'depth.pairs=[[2,8],[4,12]]'
          name: explicit
          pairs: [[2, 8], [4, 12]]

    Args:
        pairs: [student state, teacher state] each; 0 is the embedding output.
    """

    def __init__(self, pairs: Sequence[Sequence[int]]) -> None:
        if not _well_formed(pairs):
            allowed = "a list of different pairs [student state, teacher state]"
            raise ConfigError("depth.pairs", pairs, allowed, "write depth.pairs=[[2,6],[4,12]]")
        self.pairs = sorted((student, teacher) for student, teacher in pairs)

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        for pair in self.pairs:
            if not (0 <= pair[0] <= student_blocks and 0 <= pair[1] <= teacher_blocks):
                allowed = f"student states 0 to {student_blocks}, teacher states 0 to {teacher_blocks}"
                raise ConfigError("depth.pairs", list(pair), allowed, "name states that both models have")
        return LayerMap(tuple(self.pairs))


def _well_formed(pairs: object) -> bool:
    if not isinstance(pairs, Sequence) or isinstance(pairs, str) or not pairs:
        return False
    for pair in pairs:
        if not isinstance(pair, Sequence) or len(pair) != 2 or any(type(state) is not int for state in pair):
            return False
    return len({tuple(pair) for pair in pairs}) == len(pairs)
