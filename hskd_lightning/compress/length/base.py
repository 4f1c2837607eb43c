"""What a length strategy is, and the one selection made from its scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from hskd_lightning.compress.counts import counts_kept
from hskd_lightning.compress.keep import Count, Keep
from hskd_lightning.devices import moved
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import LayerMap, TokenSelection

AttentionFrom = Literal["mapped", "uniform"]
MASKED_SCORE = -1e4
"""What the released code adds to a [PAD]'s [CLS]-row score, and puts in the place of a [SEP]'s. So a [PAD] of positive
raw score comes before the separators where a short example is filled up, and one of negative raw score after them."""


class Tokens(NamedTuple):
    """What a strategy may know of a batch."""

    ids: Tensor  # (B,) int64 | example ids
    real: Tensor  # (B, T) bool
    special: Tensor  # (B, T) bool
    attention: Tensor | None  # (B, P, T) float | one score per position and layer pair, if the strategy asked


@dataclass(frozen=True)
class AttentionRequest:
    """Which attention statistic of which blocks a strategy needs the teacher to supply."""

    statistic: Literal["cls_row", "received"]
    """cls_row: the [CLS] query's scores before the softmax, mean over heads, with `MASKED_SCORE` added on padding.
    received: the probability a position is given, mean over heads and real query positions."""
    attention_from: AttentionFrom

    def blocks(self, layer_map: LayerMap, teacher_blocks: int, student_blocks: int) -> tuple[int, ...]:
        """The teacher block (0-based) whose attention ranks the tokens of each pair.

        mapped: the block that produced the pair's teacher state, max(t-1, 0). uniform: blocks spread over the whole
        teacher whatever the depth map, floor(i * (L-1) / S) for student state i, which is the released code's
        default (`att_ttop12`): 0,2,5,8,11 for S=4 and 0,1,3,5,7,9,11 for S=6 on twelve blocks.
        """
        if self.attention_from == "mapped":
            return tuple(max(state - 1, 0) for state in layer_map.teacher_states)
        return tuple(state * (teacher_blocks - 1) // student_blocks for state in layer_map.student_states)


class LengthStrategy(Protocol):
    """Ranks an example's tokens, best first, for each layer pair; keeping K is taking the first K."""

    keep: Keep
    attention: AttentionRequest | None
    offline: bool
    """False when an example's selection depends on the others in its batch: no store can hold it."""

    def eligible(self, tokens: Tokens) -> Tensor:
        """(B, T) bool: the positions that may be kept at all."""
        ...

    def score(self, tokens: Tokens) -> Tensor:
        """(B, P, T), or (B, 1, T) where all pairs agree: the higher, the sooner kept. Ties keep the left one."""
        ...


def request(statistic: Literal["cls_row", "received"], attention_from: AttentionFrom) -> AttentionRequest:
    """A checked `AttentionRequest`.

    Raises:
        ConfigError: attention_from is neither mapped nor uniform.
    """
    if attention_from not in get_args(AttentionFrom):
        allowed = ", ".join(get_args(AttentionFrom))
        raise ConfigError("length.attention_from", attention_from, allowed, "write length.attention_from=mapped")
    return AttentionRequest(statistic, attention_from)


def left_to_right(tokens: Tokens) -> Tensor:
    """(1, 1, T) scores that fall from left to right."""
    return -torch.arange(tokens.real.shape[1], device=tokens.real.device, dtype=torch.float32)[None, None]


def kept_counts(keep: Keep, real: Tensor, eligible: Tensor) -> Tensor:
    """(B,) int64: tokens kept of each example. A share is of its real tokens; a short example keeps what it has."""
    return torch.minimum(wanted_counts(keep, real.sum(dim=1)), (real & eligible).sum(dim=1))


def wanted_counts(keep: Keep, real: Tensor) -> Tensor:
    """(B,) int64: tokens that `keep` asks for, of (B,) real ones, whether or not so many may be kept."""
    return torch.full_like(real, keep.number) if isinstance(keep, Count) else counts_kept(keep, real)


def select_tokens(strategy: LengthStrategy, tokens: Tokens, pairs: int, counts: Tensor | None = None) -> TokenSelection:
    """Take the best-scored eligible tokens of every example, for each of P layer pairs.

    Args:
        counts: (B,) `kept_counts`, where they are known already: on the CPU, so that K can be read without waiting.
    """
    eligible = tokens.real & strategy.eligible(tokens)  # (B, T)
    counts = kept_counts(strategy.keep, tokens.real, eligible) if counts is None else counts
    score = strategy.score(tokens).expand(len(counts), pairs, -1)  # (B, P, T)
    never = -torch.inf if score.is_floating_point() else torch.iinfo(score.dtype).min
    score = score.masked_fill(~eligible[:, None], never)
    most = int(counts.max())
    positions = score.sort(dim=-1, descending=True, stable=True).indices[..., :most]  # (B, P, K)
    valid = moved(torch.arange(most, device=counts.device) < counts[:, None, None], score.device)  # (B, 1, K)
    return TokenSelection(positions.masked_fill(~valid, 0), valid.expand(-1, pairs, -1))
