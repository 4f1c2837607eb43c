"""Where a store has each example: the part of it that is read when it is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from hskd_lightning.knowledge.shards import cumulative


class Index(NamedTuple):
    """What a store knows of each example, by rising id: all that is in memory, 24 bytes and the logits.

    (N,) int32 where nothing else is said: a shard has fewer than 2**31 rows.
    """

    ids: Tensor  # int64
    shard: Tensor  # where its rows are
    tokens: Tensor  # its real tokens
    kept: Tensor  # rows of each layer
    start: Tensor  # the first of them in its shard
    logits: Tensor  # (N, C) float32
    counts: Tensor | None = None  # values of each layer, where its tokens have masks
    value_start: Tensor | None = None  # int64: the first of them in its shard, there

    @classmethod
    def of(cls, shards: Iterable[Mapping[str, Tensor]]) -> Index:
        """Of all shards of a store, by their numbers; none is kept."""
        parts = [cls._part(number, shard) for number, shard in enumerate(shards)]
        columns = {name: [part.pop(name) for part in parts] for name in list(parts[0])}
        order = torch.cat(columns["ids"]).argsort()
        return cls(**{name: _joined(column, order) for name, column in columns.items()})

    @staticmethod
    def _part(number: int, shard: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One shard's share of the columns, copied: what is mapped can go."""
        part = {name: shard[name].clone() for name in ("ids", "tokens", "kept", "logits", "counts") if name in shard}
        part |= {"shard": torch.full_like(part["kept"], number), "start": cumulative(part["kept"]).int()}
        return part | ({"value_start": cumulative(part["counts"])} if "counts" in part else {})

    @property
    def twice(self) -> Tensor:
        """The ids that several examples have."""
        return self.ids[1:][self.ids[1:] == self.ids[:-1]]

    def rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) example ids -> (B,) rows of the index, and (B,) bool: whether the example is there."""
        rows = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
        return rows, self.ids[rows] == ids


def _joined(parts: list[Tensor], order: Tensor) -> Tensor:
    """The parts as one, in this order. The list is emptied: a whole column less is in memory at once."""
    column = torch.cat(parts)
    parts.clear()
    return column[order]
