"""One shard of a store: which examples it has, what its tensors are, how large it will be.

Example-wise tensors, n examples in the order in which the teacher saw them:
    ids (n,) int64 | tokens (n,) int32, real ones | kept (n,) int32, rows of each layer | logits (n, C) float32
and for each layer of the store, R rows being all kept tokens of all examples, best first within an example:
    positions.<layer> (R,) int16
    values.<layer>    (R, C) codes, or flat (V,) elements where each token has units of its own
    mask.<layer>      (R, ceil(D / 8)) uint8, there: a bit for each unit, lowest bit first
    counts            (n,) int32, there: values of each example
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from hskd_lightning.compress.bits.base import BitsCode, BitsStrategy, ElementCode
from hskd_lightning.compress.bits.packing import pack_bits
from hskd_lightning.compress.compression import Layer
from hskd_lightning.devices import sent_back
from hskd_lightning.errors import ConfigError
from hskd_lightning.knowledge.manifest import MOST_SHARDS
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.values import Loss, Meter, check_holds, largest


def layer_key(layer: Layer) -> str:
    """A layer's name in tensor names: 8, or 8@5 where block 5 ranks its tokens."""
    state, block = layer
    return str(state) if block is None else f"{state}@{block}"


def partition(lengths: Tensor, shard_tokens: int) -> list[Tensor]:
    """Rows of a split -> the rows of each shard: neighbours, some `shard_tokens` real tokens, whatever is kept.

    Raises:
        ConfigError: they are more than a process can map.
    """
    before = lengths.cumsum(0) - lengths
    number = before // shard_tokens
    shards = torch.arange(len(lengths)).split(number.unique_consecutive(return_counts=True)[1].tolist())
    if len(shards) > MOST_SHARDS:
        least = -(-int(lengths.sum()) // (MOST_SHARDS - 1))
        allowed = f"{MOST_SHARDS:,} shards at most: it makes {len(shards):,} of this data"
        raise ConfigError("store.shard_tokens", shard_tokens, allowed, f"set it to {least} or more")
    return list(shards)


@dataclass
class LayerRows:
    """The rows of one layer while a shard is made; what they weigh on disk they weigh on the CPU, and nothing else."""

    meter: Meter
    positions: list[Tensor] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    largest: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Of the values added last."""

    def add(self, positions: Tensor, exact: Tensor, kept: Tensor, codes: Tensor, mask: Tensor | None = None) -> None:
        """Rows of some examples, on any device.

        Args:
            positions: (N,).
            exact: (N, W) or (N, D) values of the teacher.
            kept: of that shape, what bits leave of them.
            codes: (N, C) of a store without masks; or elements, of the shape of the values.
            mask: (N, D) bool or None.
        """
        self.largest = largest(exact)
        self.positions.append(sent_back(positions.to(torch.int16)))
        if mask is not None:
            exact, kept, codes = exact * mask, kept * mask, codes[mask]
            self.masks.append(sent_back(pack_bits(mask)))
        self.meter.add(exact, kept)
        self.codes.append(sent_back(codes))

    def tensors(self, key: str, code: BitsCode) -> tuple[dict[str, Tensor], Loss]:
        """The layer's tensors by name, as they go to disk. A device must have been waited for since the last `add`."""
        codes = torch.cat(self.codes)
        out = {f"positions.{key}": torch.cat(self.positions)}
        if self.masks:
            out[f"mask.{key}"] = torch.cat(self.masks)
            codes = cast(ElementCode, code).packed(codes)
        return out | {f"values.{key}": codes}, self.meter.loss


def check_values(layers: Iterable[LayerRows], coder: BitsStrategy, said: str) -> None:
    """Refuse a store whose bits do not hold what was added last. The one wait for a device of each of its batches.

    Raises:
        ConfigError: they do not.
    """
    for most in torch.stack([rows.largest for rows in layers]).tolist():
        check_holds(coder.dtype, most, said)


@dataclass(frozen=True)
class Size:
    """What a store will weigh, known before the teacher has run."""

    examples: int
    rows: int
    """Kept tokens of all layers together."""
    values: int
    """Kept values of all layers together."""
    bytes: int

    @classmethod
    def of(cls, request: Request, kept: Tensor, classes: int, width: int, counts: Tensor) -> Size:
        """The size of a store, exact but for file headers of some hundred bytes a shard.

        Args:
            kept: (N,) tokens kept of each example, in each layer.
            counts: (N,) values kept of each example, in each layer.
            classes: C.
            width: D.
        """
        layers, examples = len(request.layers), len(kept)
        rows, values = layers * int(kept.sum()), layers * int(counts.sum())
        size = examples * (8 + 4 + 4 + 4 * classes) + 2 * rows
        if request.masks:
            size += 4 * examples + rows * -(-width // 8) + request.coder.columns(values) * request.coder.dtype.itemsize
        elif request.layers:
            size += rows * request.coder.columns(request.units) * request.coder.dtype.itemsize
        return cls(examples, rows, values, size)


def empty_layers(request: Request, units: int) -> dict[Layer, LayerRows]:
    """One `LayerRows` a layer, for W units (D where tokens have masks)."""
    return {layer: LayerRows(Meter(units, centred=not request.masks)) for layer in request.layers}


def cumulative(counts: Tensor) -> Tensor:
    """(n,) -> (n,) where each example's rows begin."""
    return counts.long().cumsum(0) - counts


def flat_index(starts: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of ragged examples as one index: (B,), (B,) -> (R,) source rows and (R,) rank within the example."""
    total = int(counts.sum())
    rank = torch.arange(total) - cumulative(counts).repeat_interleave(counts)
    return starts.repeat_interleave(counts) + rank, rank


def shares(total: int, part: tuple[int, int]) -> Sequence[int]:
    """The shards that process i of n makes: i, i + n, ... counted from 1."""
    number, of = part
    return range(number - 1, total, of)
