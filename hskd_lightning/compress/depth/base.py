"""What a depth strategy is, and the one map most of them share."""

from __future__ import annotations

from typing import Protocol

from hskd_lightning.compress.keep import Keep, check_keep, count_kept
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import LayerMap


class DepthStrategy(Protocol):
    """Resolves a teacher of L blocks and a student of S blocks to explicit layer pairs."""

    def layer_map(self, teacher_blocks: int, student_blocks: int) -> LayerMap:
        """The kept pairs, from the bottom to the top.

        Raises:
            ConfigError: a state that one of the models does not have.
        """
        ...


def evenly(top: int, student_blocks: int) -> list[tuple[int, int]]:
    """All S+1 pairs of the paper's map: student state i learns from teacher state round(i * top / S).

    Rounds half to even, as the released code does: S=6 on top=10 gives 0,2,3,5,7,8,10.
    """
    return [(state, round(state * top / student_blocks)) for state in range(student_blocks + 1)]


def keep_top(pairs: list[tuple[int, int]], keep: Keep) -> LayerMap:
    """The `keep` highest pairs."""
    check_keep("depth.keep", keep, len(pairs))
    return LayerMap(tuple(pairs[len(pairs) - count_kept(keep, len(pairs)) :]))


def check_inner_states(strategy: str, teacher_blocks: int, student_blocks: int) -> None:
    """Patient KD distils what lies between the embeddings and the last block, in a teacher at least as deep."""
    if not 2 <= student_blocks <= teacher_blocks:
        allowed = f"a student of 2 to {teacher_blocks} blocks, the teacher's (this one has {student_blocks})"
        raise ConfigError("depth", strategy, allowed, "choose depth=uniform or another student")
