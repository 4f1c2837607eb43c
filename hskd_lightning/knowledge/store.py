"""A store, opened: memory-mapped shards, read by one gather a layer straight into the padded batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from hskd_lightning.artifacts import MANIFEST
from hskd_lightning.compress.compression import Layer
from hskd_lightning.compress.keep import Keep
from hskd_lightning.compress.length.base import wanted_counts
from hskd_lightning.compress.width.base import UnitCode
from hskd_lightning.errors import ConfigError
from hskd_lightning.hsk import HiddenTarget, TokenSelection
from hskd_lightning.knowledge.index import Index
from hskd_lightning.knowledge.layout import fit_fault, shard_fault
from hskd_lightning.knowledge.manifest import FIT, REBUILD, check_files, damaged, read_sealed
from hskd_lightning.knowledge.request import Request
from hskd_lightning.knowledge.schema import shard_file
from hskd_lightning.knowledge.shards import flat_index, layer_key, unpack_bits
from hskd_lightning.knowledge.values import DTYPES, from_int8


class Wanted(NamedTuple):
    """What a reader takes of each example."""

    layers: tuple[Layer, ...]
    """The stored layer of each layer pair; two pairs may share one."""
    tokens: Keep
    units: int
    """Of each token, the first so many of the stored ones; all D where tokens have masks."""
    dtype: str
    code: UnitCode


class _Gather(NamedTuple):
    """Which rows of which shards, in the order of the shards, and how to put them back into the batch's order."""

    segments: list[tuple[int, slice]]  # (shard, its part of `source`)
    source: Tensor  # (N,) row within its shard
    back: Tensor | None  # (B,) where each example's rows are among the gathered ones; None: where they belong


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
        self.index = self._read_index()

    def __getstate__(self) -> dict[str, Any]:
        """Worker processes map the shards for themselves."""
        return {**self.__dict__, "_mapped": {}}

    def fit(self, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
        """What the width strategy's fit found for these layers."""
        if self.facts["fit"] is None:
            return {}
        rows = [self.request.layers.index(layer) for layer in layers]
        path = self.folder / FIT
        try:
            fitted = load_file(path)
        except SafetensorError as error:
            raise damaged(path, f"not a safetensors file ({error})") from error
        if (wrong := fit_fault(fitted, self.request, self.facts["width"])) is not None:
            raise damaged(path, wrong)
        return {name: tensor if len(tensor) == 1 else tensor[rows] for name, tensor in fitted.items()}

    def logits(self, ids: Tensor) -> Tensor:
        """(B, C) float32, for (B,) example ids."""
        return self.index.logits[self._rows(ids)]

    def hidden(self, ids: Tensor, wanted: Wanted) -> HiddenTarget:
        """The hidden stage's target of (B,) example ids."""
        rows, source, valid = self.places(ids, wanted.tokens)
        gather = self._gather(rows, source)
        pairs = range(len(wanted.layers))
        positions = torch.empty(len(pairs), *valid.shape, dtype=torch.int64)
        values = torch.empty(len(pairs), *valid.shape, wanted.units)
        mask = torch.empty(values.shape, dtype=torch.bool) if self.request.masks else None
        for pair, layer in enumerate(map(layer_key, wanted.layers)):
            positions[pair] = self._take(f"positions.{layer}", gather).view(valid.shape)
            if mask is None:
                self._read(layer, gather, wanted, values[pair])
            else:
                values[pair], mask[pair] = self._read_masked(layer, rows, gather, valid)
        everywhere = valid[:, None].expand(-1, len(pairs), -1)
        every_mask = None if mask is None else mask.transpose(0, 1)
        recalled, compared = wanted.code.recall(values.transpose(0, 1), every_mask, everywhere, self.facts["width"])
        return HiddenTarget(recalled, TokenSelection(positions.transpose(0, 1), everywhere), compared)

    def stored(self, ids: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What `hidden` makes its target of, for a store without masks, as narrow as it is wanted.

        Returns:
            (P, B, K, W) values, int8 or of the wanted dtype; (P, B, K) int16 positions; (B, K) bool, which of them are
            kept; (B,) the shard of each example.
        """
        rows, source, valid = self.places(ids, wanted.tokens)
        gather, dtype = self._gather(rows, source), DTYPES[wanted.dtype]
        values = torch.empty(len(wanted.layers), *valid.shape, wanted.units, dtype=dtype)
        positions = torch.empty(values.shape[:-1], dtype=torch.int16)
        for pair, layer in enumerate(map(layer_key, wanted.layers)):
            positions[pair] = self._take(f"positions.{layer}", gather).view(valid.shape)
            _put(self._take(f"values.{layer}", gather, wanted.units, values[pair]), values[pair])
        return values, positions, valid, self.index.shard[rows].long()

    def places(self, ids: Tensor, keep: Keep) -> tuple[Tensor, Tensor, Tensor]:
        """Where the kept tokens of (B,) example ids are: (B,) rows of the index, (B, K) rows of their shards' layers,
        best first, and (B, K) bool: which of them are kept. Behind its last token an example repeats it: a real row is
        as quickly read as none, and never looked at.
        """
        rows = self._rows(ids)
        tokens, kept, start = (part[rows].long() for part in (self.index.tokens, self.index.kept, self.index.start))
        counts = torch.minimum(wanted_counts(keep, tokens), kept)  # (B,)
        rank = torch.arange(int(counts.max()))
        source = start[:, None] + torch.minimum(rank, counts[:, None] - 1)
        return rows, source, rank < counts[:, None]

    def layers(self, wanted: Wanted) -> Iterator[tuple[Tensor, Tensor]]:
        """Shard by shard, all rows of the wanted layers: (R, P, W) values as in `stored`, (R, P) int16 positions."""
        keys = list(map(layer_key, wanted.layers))
        for number in range(len(self.facts["shards"])):
            shard = self._shard(number)
            values = torch.stack([shard[f"values.{key}"][:, : wanted.units] for key in keys], dim=1)
            yield values.to(DTYPES[wanted.dtype]), torch.stack([shard[f"positions.{key}"] for key in keys], dim=1)

    def steps(self, wanted: Wanted) -> tuple[Tensor, Tensor]:
        """The scales and offsets of int8 values, each (shards, P, W) float32."""
        shards, keys = range(len(self.facts["shards"])), list(map(layer_key, wanted.layers))

        def of(name: str) -> Tensor:
            rows = [torch.stack([self._shard(number)[f"{name}.{key}"] for key in keys]) for number in shards]
            return torch.stack(rows)[..., : wanted.units]

        return of("scale"), of("offset")

    def _read_index(self) -> Index:
        index = Index.of(self._checked(number) for number in range(len(self.facts["shards"])))
        if len(index.twice):
            raise damaged(self.folder / MANIFEST, f"of a store that has example {index.twice[0]} twice")
        return index

    def _checked(self, number: int) -> dict[str, Tensor]:
        shard = self._shard(number)
        self._mapped.clear()  # one after another: a process may map only so many files
        if (wrong := shard_fault(shard, self.request, self.facts, number)) is not None:
            raise damaged(self.folder / shard_file(number), wrong)
        return shard

    def _rows(self, ids: Tensor) -> Tensor:
        """Example ids -> rows of the index."""
        rows, there = self.index.rows(ids)
        if not there.all():
            absent = f"no example {ids[~there][0].item()}"
            raise ConfigError("store", str(self.folder), f"a store of this data; it has {absent}", REBUILD)
        return rows

    def _gather(self, rows: Tensor, source: Tensor) -> _Gather:
        """(B,) examples and their (B, K) rows within their shards, sorted by shard."""
        shard = self.index.shard[rows]
        if bool((shard == shard[0]).all()):
            return _Gather([(int(shard[0]), slice(0, source.numel()))], source.flatten(), None)
        order = shard.argsort(stable=True)
        numbers, examples = shard[order].unique_consecutive(return_counts=True)
        ends = (examples.cumsum(0) * source.shape[1]).tolist()
        return _Gather(_segments(numbers.tolist(), ends), source[order].flatten(), order.argsort())

    def _take(self, name: str, gather: _Gather, columns: int | None = None, out: Tensor | None = None) -> Tensor:
        """The gathered rows of a tensor in the batch's order; into `out` where that spares a copy."""
        if gather.back is not None:
            return _reordered(self._raw(name, gather, columns), gather.back)
        if out is None or out.dtype != self._shard(gather.segments[0][0])[name].dtype:
            return self._raw(name, gather, columns)
        return self._raw(name, gather, columns, out.view(-1, out.shape[-1]))

    def _raw(self, name: str, gather: _Gather, columns: int | None = None, out: Tensor | None = None) -> Tensor:
        """The gathered rows of a tensor in the order of the shards: each shard's by one index_select."""
        parts = [(self._shard(number)[name], part) for number, part in gather.segments]
        if columns is not None:
            parts = [(tensor[:, :columns], part) for tensor, part in parts]
        first, _ = parts[0]
        if out is None:
            out = torch.empty(len(gather.source), *first.shape[1:], dtype=first.dtype)
        for tensor, part in parts:
            torch.index_select(tensor, 0, gather.source[part], out=out[part])
        return out

    def _read(self, key: str, gather: _Gather, wanted: Wanted, out: Tensor) -> None:
        """(B, K, W) float32 of one layer, W being the first of the stored ones."""
        values = self._take(f"values.{key}", gather, wanted.units, out)
        if self.request.dtype == "int8":
            values = self._from_int8(key, values, gather)
        elif wanted.dtype != self.request.dtype:
            values = values.to(DTYPES[wanted.dtype])
        _put(values, out)

    def _read_masked(self, key: str, rows: Tensor, gather: _Gather, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, D) float32 of one layer, zero off the mask, and the (B, K, D) mask."""
        order = torch.arange(len(rows)) if gather.back is None else gather.back.argsort()
        bits = unpack_bits(self._raw(f"mask.{key}", gather), self.facts["width"]) & valid[order].flatten()[:, None]
        flat = self._raw(f"values.{key}", self._flat(rows[order], valid[order]))
        dense = torch.zeros(bits.shape, dtype=flat.dtype).masked_scatter_(bits, flat)
        dense, bits = (_reordered(tensor, gather.back) for tensor in (dense, bits))
        values = self._from_int8(key, dense, gather) * bits if self.request.dtype == "int8" else dense.float()
        return values.view(*valid.shape, -1), bits.view(*valid.shape, -1)

    def _flat(self, rows: Tensor, valid: Tensor) -> _Gather:
        """Where the values of the first tokens of (B,) examples lie, these being sorted by shard."""
        starts, stored = self.index.value_start, self.index.counts
        assert starts is not None and stored is not None, "a store of masks"
        counts = valid.sum(dim=1) * self.request.units if self.request.per_token else stored[rows].long()
        source, _ = flat_index(starts[rows], counts)
        numbers, examples = self.index.shard[rows].unique_consecutive(return_counts=True)
        ends = counts.cumsum(0)[examples.cumsum(0) - 1].tolist()
        return _Gather(_segments(numbers.tolist(), ends), source, None)

    def _from_int8(self, key: str, values: Tensor, gather: _Gather) -> Tensor:
        scale, offset = (self._per_row(f"{name}.{key}", gather, values.shape[1]) for name in ("scale", "offset"))
        return from_int8(values, scale, offset)

    def _per_row(self, name: str, gather: _Gather, columns: int) -> Tensor:
        """Each row's shard's scales or offsets: (1, W) where one shard has them all, else (N, W) in batch order."""
        if gather.back is None:
            return self._shard(gather.segments[0][0])[name][None, :columns]
        parts = [
            self._shard(number)[name][:columns].expand(part.stop - part.start, -1) for number, part in gather.segments
        ]
        return _reordered(torch.cat(parts), gather.back)

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


def _put(values: Tensor, out: Tensor) -> None:
    """Copy the values to `out`, unless they were read into it."""
    if values.data_ptr() != out.data_ptr():
        out.copy_(values.view(out.shape))


def _reordered(rows: Tensor, back: Tensor | None) -> Tensor:
    """(B * K, ...) rows, sorted by example, with the examples in the order of `back`."""
    return rows if back is None else rows.view(len(back), -1)[back].view(rows.shape)


def _segments(shards: list[int], ends: list[int]) -> list[tuple[int, slice]]:
    """Neighbouring parts that end at `ends`, each with its shard."""
    return [(shard, slice(start, end)) for shard, start, end in zip(shards, [0, *ends[:-1]], ends, strict=True)]
