"""Hidden-state knowledge (HSK): the objects that travel from a teacher, or a store, to a student.

The legend of shapes for the whole program:

====== ==========================================================================================
letter meaning
====== ==========================================================================================
B      examples in a batch
T      tokens of the longest example of the batch (an example's own count is its *real* tokens)
L, S   blocks of the teacher, of the student. Hidden state 0 is the embedding output, state i the
       output of block i: a model with L blocks has L + 1 states
P      kept layer pairs                       (depth)
K      kept tokens of the richest example     (length)
D      hidden size of the teacher; d of the student
W      kept units, or components, per token   (width)
C      classes, or 1 for a regression task
====== ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.devices import moved


class TokenSelection(NamedTuple):
    """Length, resolved: the kept positions of each example for each layer pair, best first."""

    positions: Tensor  # (B, P, K) int64
    valid: Tensor  # (B, P, K) bool | false where an example has fewer kept tokens than K

    def gather(self, states: Sequence[Tensor]) -> Tensor:
        """The kept tokens of P hidden states, each (B, T, D) -> (B, P, K, D). Teacher and student alike."""
        return torch.stack([self.of_pair(state, pair) for pair, state in enumerate(states)], dim=1)  # (B, P, K, D)

    def of_pair(self, state: Tensor, pair: int) -> Tensor:
        """The kept tokens of one layer pair's hidden state, (B, T, D) -> (B, K, D)."""
        return tokens_at(state, self.positions[:, pair])


def tokens_at(state: Tensor, positions: Tensor) -> Tensor:
    """(B, T, D) at (B, K) positions of each example -> (B, K, D): whole rows, where an index of each value takes four
    times as long.
    """
    examples, tokens, _ = state.shape
    first = torch.arange(0, examples * tokens, tokens, device=state.device)[:, None]
    rows = (first + positions).flatten()
    return state.flatten(0, 1).index_select(0, rows).view(*positions.shape, -1)


class HiddenTarget(NamedTuple):
    """What the student is asked to reproduce in the hidden stage."""

    values: Tensor  # (B, P, K, W)
    tokens: TokenSelection
    units: Tensor | None  # (B, P, K, W) bool | which values count, where that differs by token; None: all

    def to(self, device: torch.device | str) -> HiddenTarget:
        """The target on a device, by one copy."""
        target: HiddenTarget = moved(self, torch.device(device))
        return target


class TokenBatch(NamedTuple):
    """A padded batch of token ids, as the loader makes it and every model takes it."""

    ids: Tensor  # (B,) int64 | the example's own id, the key of the knowledge store
    input_ids: Tensor  # (B, T) int64
    attention_mask: Tensor  # (B, T) int64 | 1 on real tokens
    token_type_ids: Tensor  # (B, T) int64
    special: Tensor  # (B, T) bool | [CLS], [SEP] and their like
    labels: Tensor  # (B,) int64 class ids, or float32 scores
    taught: HiddenTarget | Tensor | tuple[Tensor, ...] | None = None
    """What a store says of these examples (hidden states or logits), read where the batch was made; or a tuple of what
    its source makes that of on the device."""
    host: TokenBatch | None = None
    """On another device than the CPU: the batch as it was made there."""

    def to(self, device: torch.device | str) -> TokenBatch:
        """The batch on a device, by one copy that is not waited for. `Trainer` moves it by this, too."""
        device = torch.device(device)
        if device == self.ids.device:
            return self
        there: TokenBatch = moved(self._replace(host=None), device)
        return there._replace(host=None if device.type == "cpu" else self.counted)

    @property
    def counted(self) -> TokenBatch:
        """The same batch where looking at its numbers stops nobody: on the CPU, if it came from there."""
        return self.host or self

    @property
    def real(self) -> Tensor:
        """(B, T) bool, true on real tokens: padding is never knowledge."""
        return self.attention_mask.bool()


@dataclass(frozen=True)
class LayerMap:
    """Depth, resolved: which student state learns from which teacher state."""

    pairs: tuple[tuple[int, int], ...]
    """P pairs (student state, teacher state), from the bottom to the top."""

    def __len__(self) -> int:
        return len(self.pairs)

    def __str__(self) -> str:
        return ", ".join(f"{student}<-{teacher}" for student, teacher in self.pairs)

    @property
    def student_states(self) -> tuple[int, ...]:
        return tuple(student for student, _ in self.pairs)

    @property
    def teacher_states(self) -> tuple[int, ...]:
        return tuple(teacher for _, teacher in self.pairs)


@dataclass(frozen=True)
class KnowledgeAmount:
    """How much is distilled: the x axis of every curve. Padding never counts; indices and masks count in bytes."""

    scalars: float
    """Hidden-state values per example, mean over the training split: as many as were asked for, ties not counted."""
    bytes: float
    """What these values, and the positions and masks that place them, weigh per example."""
    full_scalars: float
    """All S+1 pairs x real tokens x D: the whole of HSK for this teacher and student."""
    token_bits: int = 0
    """Of a kept token in a layer: its values and, where it has units of its own, which they are."""
    shared_bytes: float = 0.0
    """What all examples share (components, masks, codebooks), divided by their number; not part of `bytes`."""

    @property
    def fraction(self) -> float:
        """Share of full HSK, from 0 to 1; above it only where `preset.padding=distill` pays for [PAD] too."""
        return self.scalars / self.full_scalars if self.full_scalars else 0.0

    def flat(self) -> dict[str, float]:
        """For result.json and trackers."""
        named = {f"knowledge_{name}": value for name, value in asdict(self).items()}
        return {**named, "knowledge_fraction": self.fraction}
