"""Depth -> length -> width as one object: the plan before any teacher has run, and the compression after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from hskd_lightning.compress.depth.base import DepthStrategy
from hskd_lightning.compress.length.base import LengthStrategy, Tokens, kept_counts, select_tokens
from hskd_lightning.compress.width.base import Moments, UnitCode, WidthStrategy
from hskd_lightning.compress.width.codes import EveryUnit, StaticMask, by_pair
from hskd_lightning.hsk import HiddenTarget, LayerMap, TokenBatch

Padding = Literal["ignore", "distill"]
Layer = tuple[int, int | None]
"""A teacher state, and the teacher block (0-based) whose attention ranks its tokens, where attention does."""


@dataclass(frozen=True)
class Shape:
    """What the strategies need to know of the two models."""

    teacher_blocks: int
    teacher_width: int
    student_blocks: int

    @property
    def all_pairs(self) -> int:
        """Layer pairs of full HSK: every student state, the embedding output included."""
        return self.student_blocks + 1


@dataclass(frozen=True)
class Compression:
    """What is kept, fully resolved: one selection, applied to teacher and student alike.

    Args:
        padding: `distill` counts [PAD] as a token, as the released code does.
    """

    layer_map: LayerMap
    length: LengthStrategy
    code: UnitCode
    padding: Padding = "ignore"

    def without_mask(self) -> Compression:
        """The same with every unit, where a static mask chooses some."""
        return replace(self, code=EveryUnit()) if isinstance(self.code, StaticMask) else self

    def to(self, device: torch.device) -> Compression:
        """The same for states that live on this device."""
        return replace(self, code=self.code.to(device))

    def compress(self, states: Sequence[Tensor], batch: TokenBatch, attention: Tensor | None) -> HiddenTarget:
        """The teacher's P mapped states, each (B, T, D), and (B, P, T) attention if `length` asked -> the target."""
        tokens = select_tokens(self.length, self.tokens(batch, attention), len(self.layer_map), self.kept(batch))
        values, units = self.code.encode(tokens.gather(states), tokens.valid)
        return HiddenTarget(values, tokens, units)

    def view(self, kept: Tensor, widen: Callable[[Tensor], Tensor]) -> Tensor:
        """The kept tokens of the student's P mapped states, (B, P, K, d), seen as the target is: (B, P, K, W).

        `widen` is the learned map d -> D; it comes after the selection of tokens, so it runs on kept ones only, and
        is one map with the width's where both are linear.
        """
        joined = None
        if isinstance(widen, nn.Linear):
            joined = self.code.joined(widen.weight, widen.bias, kept.shape[0] * kept.shape[2])
        if joined is None:
            return self.code.view(widen(kept))
        weight, bias = joined
        return by_pair(kept, weight) + bias

    def kept(self, batch: TokenBatch) -> Tensor:
        """(B,) int64: tokens kept of each example in each layer pair, counted on the CPU where the batch was made."""
        tokens = self.tokens(batch.counted, None)
        return kept_counts(self.length.keep, tokens.real, self.length.eligible(tokens))

    def tokens(self, batch: TokenBatch, attention: Tensor | None) -> Tokens:
        """What length strategies see of a batch."""
        real = torch.ones_like(batch.real) if self.padding == "distill" else batch.real
        return Tokens(batch.ids, real, batch.special, attention)


@dataclass(frozen=True)
class HskPlan:
    """What will be kept, as far as it is known before the teacher has run: layer pairs, token and unit strategies."""

    shape: Shape
    layer_map: LayerMap
    length: LengthStrategy
    width: WidthStrategy
    padding: Padding = "ignore"

    @classmethod
    def resolve(
        cls,
        shape: Shape,
        depth: DepthStrategy,
        length: LengthStrategy,
        width: WidthStrategy,
        padding: Padding = "ignore",
    ) -> HskPlan:
        """Check the three strategies against the models' shapes.

        Raises:
            ConfigError: a layer, a unit count or a pairing that these models do not have.
        """
        layer_map = depth.layer_map(shape.teacher_blocks, shape.student_blocks)
        plan = cls(shape, layer_map, length, width, padding)
        width.fit(shape.teacher_width, plan.unfitted_moments())
        return plan

    @property
    def attention_blocks(self) -> tuple[int, ...] | None:
        """The teacher block (0-based) that ranks the tokens of each pair, if `length` looks at attention."""
        request = self.length.attention
        if request is None:
            return None
        return request.blocks(self.layer_map, self.shape.teacher_blocks, self.shape.student_blocks)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What is kept of depth, pair by pair."""
        blocks = self.attention_blocks or (None,) * len(self.layer_map)
        return tuple(zip(self.layer_map.teacher_states, blocks, strict=True))

    def fit(self, moments: Moments | None, stored: Mapping[str, Tensor] | None = None) -> Compression:
        """The compression, once the teacher's moments are known (None where `width` needs none).

        Args:
            stored: the fit that a store was made with, which then stands in for one to these moments.
        """
        code = self.width.fit(self.shape.teacher_width, moments)
        if stored:
            code = code.refitted(stored)
        return Compression(self.layer_map, self.length, code, self.padding)

    def unfitted_moments(self) -> Moments:
        """Moments of the right shape that say nothing: for counting and checking before a teacher has run."""
        return Moments.of_nothing(len(self.layer_map), self.shape.teacher_width)
