"""A store, opened: memory-mapped shards, read by one gather a layer straight into the padded batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from hskd_lightning.compress.keep import Keep
from hskd_lightning.compress.length.base import wanted_counts
from hskd_lightning.compress.width.base import UnitCode
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget, TokenSelection
from hskd_lightning.knowledge.manifest import FIT, REBUILD, check_files, damaged, read_sealed, shard_file
from hskd_lightning.knowledge.request import Layer, Request
from hskd_lightning.knowledge.shards import cumulative, flat_index, layer_key, unpack_bits
from hskd_lightning.knowledge.values import DTYPES, from_int8


class Wanted(NamedTuple):
    """What a reader takes of each example."""

    layers: tuple[Layer, ...]
    """One for each layer pair; two pairs may share one."""
    tokens: Keep
    units: int
    """Of each token, the first so many of the stored ones; all D where tokens have masks."""
    dtype: str
    code: UnitCode


class _Gather(NamedTuple):
    """One batch's rows: where they lie in the shards, and where they go in the padded batch."""

    segments: list[tuple[int, slice]]  # (shard, its slice of `source`)
    source: Tensor  # (R,) row within its shard
    target: Tensor  # (R,) example * K + rank


class Store:
    """A whole store. Opening reads its index; tensors are mapped when they are first asked for, in each process.

    Args:
        folder: of the store.
        check: compare every file with its checksum first.

    Raises:
        ConfigError: the manifest or a file is not what was written; it is named.
    """

    def __init__(self, folder: Path, check: bool = True) -> None:
        self.folder = folder
        self.manifest = read_sealed(folder)
        self.facts: dict[str, Any] = self.manifest["facts"]
        if check:
            check_files(folder, self.facts)
        self.request = Request.read(self.manifest["recipe"])
        self._mapped: dict[int, dict[str, Tensor]] = {}
        self._index()

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes map the shards for themselves."""
        return {**self.__dict__, "_mapped": {}}

    def fit(self, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
        """What the width strategy's fit found for these layers."""
        if self.facts["fit"] is None:
            return {}
        rows = [self.request.layers.index(layer) for layer in layers]
        fitted = load_file(self.folder / FIT)
        return {name: tensor if len(tensor) == 1 else tensor[rows] for name, tensor in fitted.items()}

    def logits(self, ids: Tensor) -> Tensor:
        """(B, C) float32, for (B,) example ids."""
        return self._logits[self._rows(ids)]

    def hidden(self, ids: Tensor, wanted: Wanted) -> HiddenTarget:
        """The hidden stage's target of (B,) example ids."""
        rows = self._rows(ids)
        kept = self._kept[rows]  # (B,)
        counts = torch.minimum(wanted_counts(wanted.tokens, self._tokens[rows]), kept)
        most = int(counts.max())
        gather = self._plan(rows, self._starts[rows], counts, most)
        shape = (len(rows), len(wanted.layers), most)
        valid = (torch.arange(most) < counts[:, None])[:, None].expand(shape)
        units = wanted.units
        values = torch.zeros(*shape, units)
        mask = flat = None
        if self.request.masks:
            mask = torch.zeros(*shape, units, dtype=torch.bool)
            flat = self._plan(rows, self._value_starts[rows], self._value_counts(rows, counts), most=0)
        positions = torch.zeros(shape, dtype=torch.int64)
        for pair, layer in enumerate(wanted.layers):
            key = layer_key(layer)
            target = self._place(gather.target, pair, shape)
            positions.view(-1)[target] = self._take(f"positions.{key}", gather).long()
            if mask is None or flat is None:
                values.view(-1, units).index_copy_(0, target, self._values(key, gather, wanted))
            else:
                bits = unpack_bits(self._take(f"mask.{key}", gather), units)
                mask.view(-1, units).index_copy_(0, target, bits)
                values.view(-1, units).index_copy_(0, target, self._sparse(key, gather, flat, bits))
        recalled, compared = wanted.code.recall(values, mask, valid, self.facts["width"])
        return HiddenTarget(recalled, TokenSelection(positions, valid), compared)

    def _index(self) -> None:
        """Everything by example, of all shards: small, and read at once."""
        parts = []
        for number in range(len(self.facts["shards"])):
            shard = self._shard(number)
            row_counts = shard["kept"]
            value_counts = shard.get("counts", row_counts)
            parts.append(
                (
                    shard["ids"],
                    torch.full_like(shard["ids"], number),
                    shard["tokens"].long(),
                    row_counts.long(),
                    cumulative(row_counts),
                    value_counts.long(),
                    cumulative(value_counts),
                    shard["logits"].clone(),
                )
            )
        ids, self._of, self._tokens, self._kept, self._starts, self._counts, self._value_starts, self._logits = (
            torch.cat(column) for column in zip(*parts, strict=True)
        )
        self._sorted, self._order = ids.sort()
        self._mapped = {}

    def _rows(self, ids: Tensor) -> Tensor:
        """Example ids -> rows of the index."""
        at = torch.searchsorted(self._sorted, ids).clamp(max=len(self._sorted) - 1)
        absent = self._sorted[at] != ids
        if absent.any():
            found = f"no example {ids[absent][0].item()}"
            raise ConfigError("store", str(self.folder), f"a store of this data; it has {found}", REBUILD)
        return self._order[at]

    def _plan(self, rows: Tensor, starts: Tensor, counts: Tensor, most: int) -> _Gather:
        """One index for all rows, shard by shard, from low addresses to high."""
        order = (self._of[rows] * (int(starts.max()) + 1) + starts).argsort(stable=True)
        source, rank = flat_index(starts[order], counts[order])
        target = order.repeat_interleave(counts[order]) * most + rank
        shards, lengths = self._of[rows][order].repeat_interleave(counts[order]).unique_consecutive(return_counts=True)
        ends = lengths.cumsum(0).tolist()
        segments = [
            (shard, slice(end - length, end))
            for shard, end, length in zip(shards.tolist(), ends, lengths.tolist(), strict=True)
        ]
        return _Gather(segments, source, target)

    def _value_counts(self, rows: Tensor, counts: Tensor) -> Tensor:
        """(B,) values that lie behind the first `counts` rows of each example, where tokens have masks."""
        return counts * self.request.units if self.request.per_token else self._counts[rows]

    def _place(self, target: Tensor, pair: int, shape: tuple[int, int, int]) -> Tensor:
        """Where rows go in (B, P, K), flattened."""
        _, pairs, most = shape
        return target + (target // most * (pairs - 1) + pair) * most

    def _values(self, key: str, gather: _Gather, wanted: Wanted) -> Tensor:
        """(R, W) float32 of one layer, W being the first of the stored ones."""
        values = self._take(f"values.{key}", gather, wanted.units)
        if self.request.dtype == "int8":
            return self._from_int8(key, values, gather)
        if wanted.dtype != self.request.dtype:
            values = values.to(DTYPES[wanted.dtype])
        return values.float()

    def _sparse(self, key: str, gather: _Gather, values: _Gather, bits: Tensor) -> Tensor:
        """(R, D) float32 of one layer: as many values as `bits`, (R, D) bool, are set, and 0 elsewhere."""
        flat = self._take(f"values.{key}", values)
        dense = torch.zeros(bits.shape, dtype=flat.dtype).masked_scatter_(bits, flat)
        return self._from_int8(key, dense, gather) * bits if self.request.dtype == "int8" else dense.float()

    def _from_int8(self, key: str, values: Tensor, gather: _Gather) -> Tensor:
        units = values.shape[1]
        scale, offset = (self._per_row(f"{name}.{key}", gather, units) for name in ("scale", "offset"))
        return from_int8(values, scale, offset)

    def _take(self, name: str, gather: _Gather, columns: int | None = None) -> Tensor:
        """The gathered rows of a tensor, each shard's by one index_select."""
        parts = [(self._shard(number)[name], part) for number, part in gather.segments]
        if columns is not None:
            parts = [(tensor[:, :columns], part) for tensor, part in parts]
        first, _ = parts[0]
        out = torch.empty(len(gather.source), *first.shape[1:], dtype=first.dtype)
        for tensor, part in parts:
            torch.index_select(tensor, 0, gather.source[part], out=out[part])
        return out

    def _per_row(self, name: str, gather: _Gather, columns: int) -> Tensor:
        """(R, W): each row's shard's scales or offsets."""
        parts = [
            self._shard(number)[name][:columns].expand(part.stop - part.start, -1) for number, part in gather.segments
        ]
        return torch.cat(parts)

    def _shard(self, number: int) -> dict[str, Tensor]:
        """A shard's tensors, mapped."""
        if number not in self._mapped:
            path = self.folder / shard_file(number)
            try:
                with safe_open(path, "pt") as file:
                    self._mapped[number] = {name: file.get_tensor(name) for name in file.keys()}
            except SafetensorError as error:
                raise damaged(path, f"not a safetensors file ({error})") from error
        return self._mapped[number]
