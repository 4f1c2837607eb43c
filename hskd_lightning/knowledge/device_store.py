"""A store that teaches a student on a GPU: what it says is looked up, or at least decoded, there.

A small store's codes lie on the device for the whole hidden stage, as they are kept, and a batch brings only the
numbers of their rows. A large one's are read where the batch is made, and cross as narrow as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.compress.compression import Compression
from hskd_lightning.data.loader import Reader
from hskd_lightning.devices import free_bytes
from hskd_lightning.hsk import HiddenTarget, TokenBatch
from hskd_lightning.knowledge.source import DevScores
from hskd_lightning.knowledge.store import Store, Wanted
from hskd_lightning.knowledge.store_source import StoreSource

SHARE = 0.25
"""A store stays on the device if it takes no more than this of the memory that is free when the stage begins."""


class Rows(NamedTuple):
    """Where a batch's tokens are among the resident rows."""

    source: Tensor  # (B, K) int64
    valid: Tensor  # (B, K) bool


class Codes(NamedTuple):
    """What was read of a batch's tokens, as it is stored."""

    codes: Tensor  # (P, B, K, C)
    positions: Tensor  # (P, B, K) int16
    valid: Tensor  # (B, K) bool


class Resident(NamedTuple):
    """All rows of the wanted layers, on the device."""

    codes: Tensor  # (R, P, C)
    positions: Tensor  # (R, P) int16

    @classmethod
    def loaded(cls, store: Store, wanted: Wanted, device: torch.device) -> Resident:
        """Read and put there shard by shard."""
        shape = (sum(shard["rows"] for shard in store.facts["shards"]), len(wanted.layers))
        codes = torch.empty(*shape, wanted.columns, dtype=wanted.dtype, device=device)
        positions = torch.empty(shape, dtype=torch.int16, device=device)
        end = 0
        for shard_codes, shard_positions in store.layers(wanted):
            start, end = end, end + len(shard_codes)
            codes[start:end] = shard_codes.to(device)
            positions[start:end] = shard_positions.to(device)
        return cls(codes, positions)

    def at(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The (B, P, K, C) codes and (B, P, K) positions of a batch, by one gather each."""
        flat = rows.source.flatten()
        codes = self.codes.index_select(0, flat).unflatten(0, rows.source.shape)  # (B, K, P, C)
        positions = self.positions.index_select(0, flat).unflatten(0, rows.source.shape)  # (B, K, P)
        return codes.transpose(1, 2), positions.transpose(1, 2)


class DeviceStoreSource:
    """Serves a cell on a GPU from a store that covers it.

    Args:
        source: the same on the CPU; it serves what is not worth a way of its own: logits, and values with masks.
        device: where the student is.
    """

    def __init__(self, source: StoreSource, device: torch.device) -> None:
        self.source = source
        self.device = device
        self.teacher_scores: Callable[[], DevScores] = source.teacher_scores
        self.teacher_weights: Callable[[], str] = source.teacher_weights
        self._resident: Resident | None = None

    @property
    def compression(self) -> Compression | None:
        return self.source.compression

    @property
    def origin(self) -> str:
        return self.source.origin

    def reader(self, hidden: bool) -> Reader:
        """Of rows for the hidden stage, where the store fits on the device, else of codes; or of logits."""
        store, self._resident = self.source.store, None
        if not hidden or store.request.masks:
            return self.source.reader(hidden)
        wanted = self.source.wanted
        fits = weight(store, wanted) <= SHARE * free_bytes(self.device)
        return RowReader(store, wanted) if fits else CodeReader(store, wanted)

    def hidden(self, batch: TokenBatch) -> HiddenTarget:
        taught = batch.taught
        if isinstance(taught, Rows):
            if self._resident is None:
                self._resident = Resident.loaded(self.source.store, self.source.wanted, batch.ids.device)
            return self._target(*self._resident.at(taught), taught.valid)
        if isinstance(taught, Codes):
            return self._target(taught.codes.transpose(0, 1), taught.positions.transpose(0, 1), taught.valid)
        return self.source.hidden(batch)

    def logits(self, batch: TokenBatch) -> Tensor:
        return self.source.logits(batch)

    def to(self, device: torch.device) -> None:
        self.source.to(device)

    def _target(self, codes: Tensor, positions: Tensor, valid: Tensor) -> HiddenTarget:
        """(B, P, K, C) codes, (B, P, K) positions and (B, K) bool -> the target, made where they are."""
        here = self.compression
        assert here is not None
        wanted = self.source.wanted._replace(code=here.code, bits=here.bits)
        return self.source.store.target(codes, positions, valid, wanted)


def weight(store: Store, wanted: Wanted) -> int:
    """Bytes of a store's wanted layers and codes on a device."""
    rows = sum(shard["rows"] for shard in store.facts["shards"])
    return rows * len(wanted.layers) * (wanted.columns * wanted.dtype.itemsize + torch.int16.itemsize)


@dataclass(frozen=True)
class CodeReader:
    """Reads a batch's codes as they are stored. A class, so that worker processes can be spawned with it."""

    store: Store
    wanted: Wanted

    def __call__(self, ids: Tensor) -> Codes:
        return Codes(*self.store.stored(ids, self.wanted))


class RowReader:
    """Finds a batch's rows. A class, so that worker processes can be spawned with it."""

    def __init__(self, store: Store, wanted: Wanted) -> None:
        self.store = store
        self.keep = wanted.tokens
        kept = torch.tensor([shard["rows"] for shard in store.facts["shards"]])
        self.first = kept.cumsum(0) - kept  # the resident row of each shard's first

    def __call__(self, ids: Tensor) -> Rows:
        rows, source, valid = self.store.places(ids, self.keep)
        shard = self.store.index.shard[rows].long()
        return Rows(self.first[shard][:, None] + source, valid)
