"""A store, opened: memory-mapped shards, read by one gather a layer straight into the padded batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from hskd_lightning.artifacts import MANIFEST
from hskd_lightning.compress.bits.base import BitsCode, ElementCode
from hskd_lightning.compress.bits.packing import unpack_bits
from hskd_lightning.compress.compression import Compression, Layer
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
from hskd_lightning.knowledge.shards import flat_index, layer_key


class Wanted(NamedTuple):
    """What a reader takes of each example."""

    layers: tuple[Layer, ...]
    """The stored layer of each layer pair; two pairs may share one."""
    tokens: Keep
    columns: int
    """Of each token, the first so many codes of the stored ones."""
    dtype: torch.dtype
    """Of the codes."""
    code: UnitCode
    bits: BitsCode

    @classmethod
    def of(cls, layers: tuple[Layer, ...], request: Request, compression: Compression, width: int) -> Wanted:
        """What is asked for of these layers, by the fits that the store was made with, of D units."""
        coder = request.coder
        seen = width if request.masks else request.units  # who chooses by token sees all that is kept
        return cls(layers, request.tokens, coder.columns(seen), coder.dtype, compression.code, compression.bits)


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
        """What the fits of width and bits found for these layers.

        Raises:
            ConfigError: it is not what they can find.
        """
        if not layers:
            return {}
        rows = [self.request.layers.index(layer) for layer in layers]
        path = self.folder / FIT
        try:
            fitted = {} if self.facts["fit"] is None else load_file(path)
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
        if self.request.masks:
            return self._masked(ids, wanted)
        codes, positions, valid = self.stored(ids, wanted)
        return self.target(codes.transpose(0, 1), positions.transpose(0, 1), valid, wanted)

    def target(self, codes: Tensor, positions: Tensor, valid: Tensor, wanted: Wanted) -> HiddenTarget:
        """(B, P, K, C) codes, (B, P, K) positions and (B, K) bool -> what is taught of them, wherever they are."""
        everywhere = valid[:, None].expand(positions.shape)
        recalled, compared = wanted.code.recall(wanted.bits.decode(codes), everywhere, self.facts["width"])
        return HiddenTarget(recalled, TokenSelection(positions.long(), everywhere), compared)

    def stored(self, ids: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor, Tensor]:
        """What `hidden` makes its target of, for a store without masks, as narrow as it is wanted.

        Returns:
            (P, B, K, C) codes; (P, B, K) int16 positions; (B, K) bool, which of them are kept.
        """
        rows, source, valid = self.places(ids, wanted.tokens)
        gather = self._gather(rows, source)
        codes = torch.empty(len(wanted.layers), *valid.shape, wanted.columns, dtype=wanted.dtype)
        positions = torch.empty(codes.shape[:-1], dtype=torch.int16)
        for pair, layer in enumerate(map(layer_key, wanted.layers)):
            positions[pair] = self._take(f"positions.{layer}", gather).view(valid.shape)
            _put(self._take(f"values.{layer}", gather, wanted.columns, codes[pair]), codes[pair])
        return codes, positions, valid

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
        """Shard by shard, all rows of the wanted layers: (R, P, C) codes as in `stored`, (R, P) int16 positions."""
        keys = list(map(layer_key, wanted.layers))
        for number in range(len(self.facts["shards"])):
            shard = self._shard(number)
            codes = torch.stack([shard[f"values.{key}"][:, : wanted.columns] for key in keys], dim=1)
            yield codes.to(wanted.dtype), torch.stack([shard[f"positions.{key}"] for key in keys], dim=1)

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

    def _masked(self, ids: Tensor, wanted: Wanted) -> HiddenTarget:
        """`hidden` of a store whose tokens have units of their own."""
        rows, source, valid = self.places(ids, wanted.tokens)
        gather = self._gather(rows, source)
        read = [self._read_masked(layer, rows, gather, valid, wanted) for layer in map(layer_key, wanted.layers)]
        elements, masks, positions = (torch.stack(parts, dim=1) for parts in zip(*read, strict=True))
        values = cast(ElementCode, wanted.bits).restored(elements) * masks
        everywhere = valid[:, None].expand(positions.shape)
        recalled, compared = wanted.code.recall(values, everywhere, self.facts["width"], masks)
        return HiddenTarget(recalled, TokenSelection(positions.long(), everywhere), compared)

    def _read_masked(
        self, key: str, rows: Tensor, gather: _Gather, valid: Tensor, wanted: Wanted
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, K, D) elements of one layer, zero off the mask; the (B, K, D) mask, and (B, K) positions."""
        order = torch.arange(len(rows)) if gather.back is None else gather.back.argsort()
        bits = unpack_bits(self._raw(f"mask.{key}", gather), self.facts["width"]) & valid[order].flatten()[:, None]
        flat = self._elements(f"values.{key}", self._flat(rows[order], valid[order]), cast(ElementCode, wanted.bits))
        dense = torch.zeros(bits.shape, dtype=flat.dtype).masked_scatter_(bits, flat)
        dense, bits = (_reordered(tensor, gather.back) for tensor in (dense, bits))
        positions = self._take(f"positions.{key}", gather).view(valid.shape)
        return dense.view(*valid.shape, -1), bits.view(*valid.shape, -1), positions

    def _elements(self, name: str, gather: _Gather, bits: ElementCode) -> Tensor:
        """The gathered elements, in the order of the shards."""
        return torch.cat(
            [bits.taken(self._shard(number)[name], gather.source[part]) for number, part in gather.segments]
        )

    def _flat(self, rows: Tensor, valid: Tensor) -> _Gather:
        """Where the values of the first tokens of (B,) examples lie, these being sorted by shard."""
        starts, stored = self.index.value_start, self.index.counts
        assert starts is not None and stored is not None, "a store of masks"
        counts = valid.sum(dim=1) * self.request.units if self.request.per_token else stored[rows].long()
        source, _ = flat_index(starts[rows], counts)
        numbers, examples = self.index.shard[rows].unique_consecutive(return_counts=True)
        ends = counts.cumsum(0)[examples.cumsum(0) - 1].tolist()
        return _Gather(_segments(numbers.tolist(), ends), source, None)

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
