"""One shard of a store: which examples it has, what its tensors are, how large it will be.

Example-wise tensors, n examples in the order in which the teacher saw them:
    ids (n,) int64 | tokens (n,) int32, real ones | kept (n,) int32, rows of each layer | logits (n, C) float32
and for each layer of the store, R rows being all kept tokens of all examples, best first within an example:
    positions.<layer> (R,) int16
    values.<layer>    (R, W), or flat (V,) where each token has units of its own
    mask.<layer>      (R, ceil(D / 8)) uint8, there: a bit for each unit, lowest bit first
    counts            (n,) int32, there: values of each example
    scale.<layer>, offset.<layer> (W,) float32 where values are int8
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from hskd_lightning.compress.compression import Layer
from hskd_lightning.devices import sent_back
from hskd_lightning.knowledge.request import BYTES, Request
from hskd_lightning.knowledge.values import (
    DTYPES,
    Loss,
    Meter,
    Range,
    check_holds,
    from_int8,
    largest,
    to_int8,
)  # fmt: skip


def layer_key(layer: Layer) -> str:
    """A layer's name in tensor names: 8, or 8@5 where block 5 ranks its tokens."""
    state, block = layer
    return str(state) if block is None else f"{state}@{block}"


def partition(lengths: Tensor, shard_tokens: int) -> list[Tensor]:
    """Rows of a split -> the rows of each shard: neighbours, some `shard_tokens` real tokens, whatever is kept."""
    before = lengths.cumsum(0) - lengths
    number = before // shard_tokens
    return list(torch.arange(len(lengths)).split(number.unique_consecutive(return_counts=True)[1].tolist()))


def pack_bits(mask: Tensor) -> Tensor:
    """(N, D) bool -> (N, ceil(D / 8)) uint8, where the mask is."""
    if mask.device.type != "cpu":
        worth = 2 ** torch.arange(8, dtype=torch.uint8, device=mask.device)
        eights = pad(mask, (0, -mask.shape[-1] % 8)).unflatten(-1, (-1, 8))  # (N, ceil(D / 8), 8)
        return (eights * worth).sum(dim=-1, dtype=torch.uint8)
    return torch.from_numpy(np.packbits(mask.numpy(), axis=-1, bitorder="little"))


def unpack_bits(packed: Tensor, units: int) -> Tensor:
    """(N, ceil(D / 8)) uint8 -> (N, D) bool: undo `pack_bits`."""
    return torch.from_numpy(np.unpackbits(packed.numpy(), axis=-1, count=units, bitorder="little")).bool()


@dataclass
class LayerRows:
    """The rows of one layer while a shard is made. Floats are rounded at once, where they are, and come to the CPU as
    narrow as that; int8 waits for its range, and stays exact where it is until then.
    """

    dtype: str
    range: Range
    meter: Meter
    positions: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    largest: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Of the floats added last."""

    def add(self, positions: Tensor, values: Tensor, mask: Tensor | None) -> None:
        """Rows of some examples, on any device: (N,), (N, W) or (N, D), and (N, D) bool or None."""
        self.positions.append(sent_back(positions.to(torch.int16)))
        if self.dtype == "int8":
            self.values.append(values)
            self.masks += [] if mask is None else [mask]
            return
        rounded = values.to(DTYPES[self.dtype])
        self.meter.add(values, rounded)
        self.largest = largest(values)
        self._keep(rounded, mask)

    def tensors(self, key: str) -> tuple[dict[str, Tensor], Loss]:
        """The layer's tensors by name, as they go to disk. A device must have been waited for since the last `add`."""
        out = {f"positions.{key}": torch.cat(self.positions)}
        if self.dtype == "int8":
            out |= {f"scale.{key}": self.range.scale.cpu(), f"offset.{key}": self.range.offset.cpu()}
            self._quantise(self.range.scale, self.range.offset)
        if self.masks:
            out[f"mask.{key}"] = torch.cat(self.masks)
        out[f"values.{key}"] = torch.cat(self.values).cpu()
        return out, self.meter.loss

    def _keep(self, values: Tensor, mask: Tensor | None) -> None:
        """Those of a mask alone, where there is one, and its bits."""
        if mask is not None:
            values = values[mask]
            self.masks.append(sent_back(pack_bits(mask)))
        self.values.append(sent_back(values))

    def _quantise(self, scale: Tensor, offset: Tensor) -> None:
        chunks = self.values
        masks: Sequence[Tensor | None] = self.masks or [None] * len(chunks)
        self.values, self.masks = [], []
        for exact, mask in zip(chunks, masks, strict=True):
            values = to_int8(exact, scale, offset)
            back = from_int8(values, scale, offset)
            self.meter.add(exact, back if mask is None else back * mask)
            self._keep(values, mask)
        self.range.low.cpu()  # waits for the device: what was sent back is there


def check_floats(layers: Iterable[LayerRows]) -> None:
    """Refuse a store whose dtype does not hold what was added last. The one wait for a device of each of its batches.

    Raises:
        ConfigError: it does not.
    """
    floats = [rows for rows in layers if rows.dtype != "int8"]
    if floats:
        for rows, most in zip(floats, torch.stack([rows.largest for rows in floats]).tolist(), strict=True):
            check_holds(rows.dtype, most)


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
    def of(cls, request: Request, kept: Tensor, classes: int, width: int, counts: Tensor, shards: int) -> Size:
        """The size of a store, exact but for file headers of some hundred bytes a shard.

        Args:
            kept: (N,) tokens kept of each example, in each layer.
            counts: (N,) values kept of each example, in each layer.
            classes: C.
            width: D.
        """
        layers, examples = len(request.layers), len(kept)
        rows, values = layers * int(kept.sum()), layers * int(counts.sum())
        size = examples * (8 + 4 + 4 + 4 * classes) + 2 * rows + BYTES[request.dtype] * values
        if request.masks:
            size += 4 * examples + rows * -(-width // 8)
        if request.dtype == "int8":
            size += shards * layers * 8 * (width if request.masks else request.units)
        return cls(examples, rows, values, size)


def empty_layers(request: Request, units: int) -> dict[Layer, LayerRows]:
    """One `LayerRows` a layer, for W units (D where tokens have masks)."""
    return {
        layer: LayerRows(request.dtype, Range.of_nothing(units), Meter(units, centred=not request.masks))
        for layer in request.layers
    }


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
