"""Depth -> length -> width -> bits as one object: the plan before any teacher has run, and the compression after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from hskd_lightning.compress.bits.base import BitsCode, BitsStrategy
from hskd_lightning.compress.bits.floats import FloatCode
from hskd_lightning.compress.bits.fp32 import Fp32
from hskd_lightning.compress.depth.base import DepthStrategy
from hskd_lightning.compress.length.base import LengthStrategy, Tokens, kept_counts, select_tokens
from hskd_lightning.compress.width.base import Moments, UnitCode, WidthStrategy
from hskd_lightning.compress.width.codes import EveryUnit, StaticMask, by_pair
from hskd_lightning.hsk import HiddenTarget, LayerMap, TokenBatch, TokenSelection

Padding = Literal["ignore", "distill"]
Layer = tuple[int, int | None]
"""A teacher state, and the teacher block (0-based) whose attention ranks its tokens, where attention does."""
EXACT = Fp32().code({}, 0)
"""Bits that lose nothing."""


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
    bits: BitsCode = EXACT

    def without_mask(self) -> Compression:
        """The same with every unit, where a static mask chooses some; bits are fitted to these alone."""
        return replace(self, code=EveryUnit(), bits=EXACT) if isinstance(self.code, StaticMask) else self

    def to(self, device: torch.device) -> Compression:
        """The same for states that live on this device."""
        return replace(self, code=self.code.to(device), bits=self.bits.to(device))

    def compress(self, states: Sequence[Tensor], batch: TokenBatch, attention: Tensor | None) -> HiddenTarget:
        """The teacher's P mapped states, each (B, T, D), and (B, P, T) attention if `length` asked -> the target."""
        tokens, values = self.kept_values(states, batch, attention)
        target = self.target(tokens, self.bits.encode(values), states[0].shape[-1])
        if isinstance(self.bits, FloatCode):
            return target
        broken = (values - values).sum(dim=-1, keepdim=True)  # 0; what is no number has a code, and must not be taught
        return target._replace(values=target.values + broken)

    def kept_values(
        self, states: Sequence[Tensor], batch: TokenBatch, attention: Tensor | None
    ) -> tuple[TokenSelection, Tensor]:
        """What is kept of these states, before bits: the tokens, and (B, P, K, W) values of them."""
        tokens = select_tokens(self.length, self.tokens(batch, attention), len(self.layer_map), self.kept(batch))
        return tokens, self.code.encode(tokens.gather(states))

    def target(self, tokens: TokenSelection, codes: Tensor, units: int) -> HiddenTarget:
        """What is taught of (B, P, K, C) codes of these tokens, of D units."""
        values, compared = self.code.recall(self.bits.decode(codes), tokens.valid, units)
        return HiddenTarget(values, tokens, compared)

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
    """What will be kept, as far as it is known before the teacher has run: layer pairs, and three strategies."""

    shape: Shape
    layer_map: LayerMap
    length: LengthStrategy
    width: WidthStrategy
    padding: Padding = "ignore"
    bits: BitsStrategy = field(default_factory=Fp32)

    @classmethod
    def resolve(
        cls,
        shape: Shape,
        depth: DepthStrategy,
        length: LengthStrategy,
        width: WidthStrategy,
        padding: Padding = "ignore",
        bits: BitsStrategy | None = None,
    ) -> HskPlan:
        """Check the four strategies against the models' shapes.

        Raises:
            ConfigError: a layer, a unit count, a pairing or a budget that these models do not have.
        """
        layer_map = depth.layer_map(shape.teacher_blocks, shape.student_blocks)
        return cls(shape, layer_map, length, width, padding).in_bits(bits or Fp32())

    def in_bits(self, bits: BitsStrategy) -> HskPlan:
        """The same, its values said in these bits.

        Raises:
            ConfigError: these values do not hold so many.
        """
        plan = replace(self, bits=bits)
        bits.columns(plan.coded_width)
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

    @cached_property
    def unfitted(self) -> Compression:
        """The compression in shape, for counting and checking before a teacher has run."""
        moments = Moments.of_nothing(len(self.layer_map), self.shape.teacher_width)
        return Compression(self.layer_map, self.length, self.width.fit(self.shape.teacher_width, moments), self.padding)

    @property
    def masked(self) -> bool:
        """Whether each token has units of its own, and only these are kept: where bits have an element for each."""
        return self.bits.element_bits is not None and self.unfitted.code.mask_bits(self.shape.teacher_width) > 0

    @property
    def coded_width(self) -> int:
        """Values of a token that bits see: all D where each token has its own units, which are chosen of what bits
        leave.
        """
        code, units = self.unfitted.code, self.shape.teacher_width
        return code.scalars(units) if code.mask_bits(units) == 0 else units

    @property
    def coded_units(self) -> int:
        """Values of a token that bits are spent on: of masked ones only those of its own."""
        return self.unfitted.code.scalars(self.shape.teacher_width) if self.masked else self.coded_width

    @property
    def token_bits(self) -> int:
        """Bits that a token's values take in a layer, those that place them among the units included."""
        if self.masked and self.bits.element_bits is not None:
            code, units = self.unfitted.code, self.shape.teacher_width
            return self.bits.element_bits * code.scalars(units) + code.mask_bits(units)
        return 8 * self.bits.dtype.itemsize * self.bits.columns(self.coded_units)

    @property
    def is_fitted(self) -> bool:
        """Whether width or bits find something that whoever reads the values needs."""
        return bool(self.unfitted.code.fitted or self.bits.layout(len(self.layer_map), self.coded_width))

    def fitted(self, stored: Mapping[str, Tensor]) -> Compression:
        """The compression by the tensors of a fit, which may be of more units and a larger budget."""
        unfitted = self.unfitted
        code = unfitted.code.refitted(stored) if unfitted.code.fitted else unfitted.code
        return replace(unfitted, code=code, bits=self.bits.code(stored, self.coded_width))
